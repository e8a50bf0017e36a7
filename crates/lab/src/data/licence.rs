//! Reads on what terms a package's pictures come: Debian's machine-readable `copyright` files, and the metadata
//! that wallpapers carry beside them.

use std::path::Path;

use super::pack::Origin;

/// The terms of the files of one package.
#[derive(Debug, Default)]
pub struct Terms {
    package: String,
    /// What holds where no paragraph matches.
    default: String,
    paragraphs: Vec<Paragraph>,
}

#[derive(Debug, Default)]
struct Paragraph {
    /// Without directory wildcards' meaning: `*` matches anything, and extensions are ignored, because packages
    /// convert pictures after the list was written.
    patterns: Vec<String>,
    licence: String,
    author: String,
    from: String,
}

/// Matches `*` against any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((prefix, rest)) => text.strip_prefix(prefix).is_some_and(|text| {
            rest.is_empty()
                || text
                    .char_indices()
                    .any(|(start, _)| matches(rest, &text[start..]))
        }),
    }
}

fn without_extension(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && !extension.contains(['/', '*']) => stem,
        _ => path,
    }
}

impl Terms {
    /// Of the package unpacked in `folder`, which bears its name. `known` gives the licence of packages that do
    /// not say it in a form that can be read by a program.
    pub fn of(folder: &Path, known: &[(&str, &str)]) -> Self {
        let package = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let default = known.iter().find(|(name, _)| *name == package).map_or_else(
            || format!("see the package {package}"),
            |(_, licence)| (*licence).to_owned(),
        );
        let file = folder
            .join("usr/share/doc")
            .join(&package)
            .join("copyright");
        let text = std::fs::read(file)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        Self {
            package,
            default,
            paragraphs: paragraphs(&text),
        }
    }

    /// The terms of one file, by its path in the unpacked package.
    pub fn origin(&self, folder: &Path, name: &str) -> Origin {
        let stem = without_extension(name);
        // The list speaks of the source tree, we see the installed one: the longest tail that matches decides.
        let tails = stem
            .char_indices()
            .filter(|(_, c)| *c == '/')
            .map(|(at, _)| &stem[at + 1..]);
        let tails: Vec<&str> = std::iter::once(stem).chain(tails).collect();
        let file = tails.last().copied().unwrap_or(stem);
        // Later paragraphs override earlier ones.
        let paragraph = self.paragraphs.iter().rev().find(|paragraph| {
            paragraph.patterns.iter().any(|pattern| {
                // A wallpaper may be listed under another folder than it is installed in.
                let listed = pattern.rsplit('/').next().unwrap_or(pattern);
                tails.iter().any(|tail| matches(pattern, tail))
                    || (!listed.contains('*') && listed == file)
            })
        });
        let mut origin = Origin {
            package: self.package.clone(),
            licence: self.default.clone(),
            ..Origin::default()
        };
        if let Some(paragraph) = paragraph {
            origin.licence = paragraph.licence.clone();
            origin.author = paragraph.author.clone();
            origin.from = paragraph.from.clone();
        }
        if let Some((wallpaper, _)) = name.split_once("/contents/") {
            let metadata = std::fs::read(folder.join(wallpaper).join("metadata.json")).ok();
            let metadata =
                metadata.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
            if let Some(plugin) = metadata.as_ref().map(|metadata| &metadata["KPlugin"]) {
                if let Some(licence) = plugin["License"].as_str() {
                    origin.licence = licence.to_owned();
                }
                if let Some(author) = plugin["Authors"][0]["Name"].as_str() {
                    origin.author = author.to_owned();
                }
            }
        }
        origin
    }
}

/// The `Files` paragraphs of a Debian copyright file in format 1.0; none for another form.
fn paragraphs(text: &str) -> Vec<Paragraph> {
    if !text.starts_with("Format:") {
        return Vec::new();
    }
    let mut paragraphs = Vec::new();
    for block in text.split("\n\n") {
        let mut paragraph = Paragraph::default();
        let mut field = String::new();
        for line in block.lines() {
            let value = if line.starts_with([' ', '\t']) {
                line.trim()
            } else if let Some((name, value)) = line.split_once(':') {
                field = name.to_owned();
                value.trim()
            } else {
                continue;
            };
            match field.as_str() {
                "Files" => paragraph.patterns.extend(
                    value
                        .split_whitespace()
                        .map(|p| without_extension(p).into()),
                ),
                "License" if paragraph.licence.is_empty() => paragraph.licence = value.to_owned(),
                // The first holder and address stand for all: the package has the rest.
                "Copyright" if paragraph.author.is_empty() => paragraph.author = value.to_owned(),
                "Comment" if paragraph.from.is_empty() && value.starts_with("http") => {
                    paragraph.from = value.to_owned();
                }
                _ => {}
            }
        }
        if !paragraph.patterns.is_empty() {
            paragraphs.push(paragraph);
        }
    }
    paragraphs
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
        Files: *\nCopyright: 2010 Somebody\nLicense: GPL-3+\n\n\
        Files: src/images/fish1.jpg\n       src/images/reef*.png\nCopyright: Florin\nLicense: public-domain\n\
        Comment: https://example.org/fish\n\n\
        Files: 16.04/sunset_by_A.jpg\nCopyright: A\nLicense: CC-BY-4.0\n\n\
        License: GPL-3+\n Long text.\n";

    #[test]
    fn later_paragraphs_override_and_extensions_do_not_matter() {
        let terms = Terms {
            package: "p".into(),
            default: "?".into(),
            paragraphs: paragraphs(TEXT),
        };
        let origin = |name: &str| terms.origin(Path::new("/nowhere"), name);
        let fish = origin("pictures/game/src/images/fish1.webp");
        assert_eq!(fish.licence, "public-domain");
        assert_eq!(
            (fish.author.as_str(), fish.from.as_str()),
            ("Florin", "https://example.org/fish")
        );
        assert_eq!(origin("src/images/reef-back.webp").licence, "public-domain");
        assert_eq!(origin("src/images/fish11.webp").licence, "GPL-3+");
        assert_eq!(
            origin("usr/share/backgrounds/sunset_by_A.jpg").licence,
            "CC-BY-4.0"
        );
    }

    #[test]
    fn another_form_falls_back_to_what_is_known() {
        let terms = Terms {
            package: "p".into(),
            default: "public-domain".into(),
            paragraphs: paragraphs("Free."),
        };
        assert_eq!(
            terms.origin(Path::new("/nowhere"), "a.png").licence,
            "public-domain"
        );
    }
}
