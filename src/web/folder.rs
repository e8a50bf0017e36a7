//! Which files of a folder that somebody opened are a model's, and at which sizes Stable Video Diffusion makes videos.

use dragentity_core::scene::picture::model_size;
use std::collections::BTreeSet;

/// What says of a directory that it is a model's.
const INDEX: &str = "model_index.json";
/// Kinds of files that are read.
const KINDS: [&str; 2] = [".json", ".safetensors"];
/// Most files of one model: a thousand shards for each part.
const MOST: usize = 8000;
/// How many models are named where there are several.
const NAMED: usize = 3;

/// Sizes to choose from: what they are called, and the sides of squares of as many pixels. Of a picture of 16 to 9 they are 448 x 256,
/// 576 x 320 and 1024 x 576, of which the last is what the published weights were trained for.
pub const SIZES: [(&str, u32); 3] = [("Small", 339), ("Medium", 429), ("Large", 768)];
/// The one that is chosen until somebody chooses another.
pub const USUAL_SIZE: usize = 1;
/// As [`dragentity_pipeline::svd`] chooses its sizes.
const MULTIPLE: u32 = 64;

/// Width and height of a video of one of the [`SIZES`], in the shape of a picture.
pub fn video_size(picture: (u32, u32), size: usize) -> [u32; 2] {
    let (_, side) = SIZES[size.min(SIZES.len() - 1)];
    let (width, height) = model_size(picture.0, picture.1, side, MULTIPLE);
    [width, height]
}

/// A model's files among those of a folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Its directory, from the folder that was opened on.
    pub name: String,
    /// Which of the files, and their paths below that directory.
    pub files: Vec<(usize, String)>,
}

/// Finds the one model in a folder, in whichever of its directories it is. `paths` begin with the folder's own name, as browsers
/// give them.
///
/// # Errors
/// A sentence on what to open instead.
pub fn find_model(paths: &[String]) -> Result<Found, String> {
    let folder = folder_of(paths);
    let beside = |file: &str| -> BTreeSet<&str> {
        let in_directory = |path: &'_ str| -> Option<usize> {
            let directory = path.strip_suffix(file)?.strip_suffix('/')?;
            Some(directory.len())
        };
        paths
            .iter()
            .filter_map(|path| Some(&path[..in_directory(path)?]))
            .collect()
    };
    let mut models = beside(INDEX);
    if models.is_empty() {
        // Without its index: which file is missing is said when that is read.
        models = beside("unet/config.json");
    }
    let outer = outermost(&models);
    let name = match outer[..] {
        [one] => one,
        [] if is_part(paths) => {
            return Err(format!(
                "there is only a part of a model in {folder}, or a model in a single file: open the folder that has {INDEX} and, \
                 beside it, unet, vae and image_encoder"
            ));
        }
        [] => {
            return Err(format!(
                "there is no model in {folder}: open the folder that has {INDEX} and, beside it, unet, vae and image_encoder"
            ));
        }
        _ => {
            let shown = outer[..outer.len().min(NAMED)].join(", ");
            let more = if outer.len() > NAMED { ", …" } else { "" };
            return Err(format!(
                "there are {} models in {folder} ({shown}{more}): open the folder of one of them",
                outer.len()
            ));
        }
    };
    let found = files_in(name, paths);
    match found.files.len() {
        0..=MOST => Ok(found),
        many => Err(format!(
            "{name} has {many} files, too many for a model: open the folder of the model only"
        )),
    }
}

/// Finds the one ControlNet in a folder, likewise: a directory with a configuration and weights beside it, or DragEntity's own kind, in
/// which they are below `controlnet`.
///
/// # Errors
/// A sentence on what to open instead.
pub fn find_controlnet(paths: &[String]) -> Result<Found, String> {
    fn own(path: &str) -> Option<&str> {
        let path = path.strip_suffix("config.json")?;
        path.strip_suffix("/controlnet/").or(path.strip_suffix('/'))
    }
    let has_weights = |directory: &str| {
        paths.iter().any(|path| {
            let below = path
                .strip_prefix(directory)
                .and_then(|p| p.strip_prefix('/'));
            below.is_some_and(|p| {
                p.strip_prefix("controlnet/")
                    .unwrap_or(p)
                    .matches('/')
                    .count()
                    == 0
            }) && path.ends_with(".safetensors")
        })
    };
    let mut found: BTreeSet<&str> = paths.iter().filter_map(|path| own(path)).collect();
    found.retain(|directory| has_weights(directory));
    let outer = outermost(&found);
    match outer[..] {
        [name] => Ok(files_in(name, paths)),
        [] => Err(format!(
            "there is no ControlNet in {}: open the folder that has config.json and, beside it, weights in safetensors",
            folder_of(paths)
        )),
        _ => Err(format!(
            "there are {} networks in {}: open the folder of one ControlNet",
            outer.len(),
            folder_of(paths)
        )),
    }
}

/// Those of some directories that lie in no other one of them: what lies within another one belongs to it.
fn outermost<'a>(directories: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let within = |one: &str, other: &str| {
        one.strip_prefix(other)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    directories
        .iter()
        .copied()
        .filter(|one| !directories.iter().any(|other| within(one, other)))
        .collect()
}

/// What a folder is called, of whose files these are the paths.
fn folder_of(paths: &[String]) -> &str {
    paths
        .iter()
        .find_map(|path| path.split_once('/'))
        .map_or("the folder", |(folder, _)| folder)
}

/// What is read of a directory.
fn files_in(directory: &str, paths: &[String]) -> Found {
    let read = |(at, path): (usize, &String)| {
        let below = path.strip_prefix(directory)?.strip_prefix('/')?;
        let read = KINDS.iter().any(|kind| below.ends_with(kind));
        (read && below.matches('/').count() <= 1).then(|| (at, below.to_owned()))
    };
    Found {
        name: directory.to_owned(),
        files: paths.iter().enumerate().filter_map(read).collect(),
    }
}

/// Whether there are weights in the folder itself.
fn is_part(paths: &[String]) -> bool {
    paths
        .iter()
        .any(|path| path.matches('/').count() == 1 && path.ends_with(".safetensors"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    const MODEL: [&str; 5] = [
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
        "vae/config.json",
        "scheduler/scheduler_config.json",
    ];

    fn within(folder: &str) -> Vec<String> {
        MODEL
            .iter()
            .map(|file| format!("{folder}/{file}"))
            .collect()
    }

    #[test]
    fn a_model_is_found_in_the_folder_and_below_it() {
        for folder in ["svd", "weights/svd", "hub/models--svd/snapshots/9e43909"] {
            let mut all = within(folder);
            // What else the published directory has.
            all.extend(
                ["README.md", "svd_xt.bin", "unet/deep/er.json"].map(|f| format!("{folder}/{f}")),
            );
            let found = find_model(&all).unwrap();
            assert_eq!(found.name, folder);
            let named: Vec<&str> = found.files.iter().map(|(_, path)| path.as_str()).collect();
            assert_eq!(named, MODEL);
            assert!(
                found
                    .files
                    .iter()
                    .all(|(at, path)| all[*at].ends_with(path))
            );
        }
    }

    #[test]
    fn a_model_in_a_model_belongs_to_it() {
        let mut all = within("svd");
        all.extend(within("svd/plate"));
        assert_eq!(find_model(&all).unwrap().name, "svd");
        // Only whole names are directories.
        let mut all = within("a/svd");
        all.extend(within("a/svd-xt"));
        let refused = find_model(&all).unwrap_err();
        assert!(
            refused.contains("2 models in a (a/svd, a/svd-xt)"),
            "{refused}"
        );
    }

    #[test]
    fn without_its_index_it_is_found_by_its_unet() {
        let all: Vec<String> = within("svd").split_off(1);
        let found = find_model(&all).unwrap();
        assert_eq!(found.name, "svd");
        assert!(!found.files.iter().any(|(_, path)| path == INDEX));
    }

    #[test]
    fn other_folders_are_told_apart() {
        let part = paths(&[
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
        ]);
        // The folder itself is called unet, and is not beside anything.
        let refused = find_model(&part).unwrap_err();
        assert!(
            refused.contains("only a part of a model in unet"),
            "{refused}"
        );
        let holiday = paths(&["holiday/beach.jpg", "holiday/2024/hill.jpg"]);
        let refused = find_model(&holiday).unwrap_err();
        assert!(refused.contains("no model in holiday"), "{refused}");
        assert!(
            find_model(&[])
                .unwrap_err()
                .contains("no model in the folder")
        );
        let many: Vec<String> = (0..9000)
            .map(|n| format!("x/unet/{n}.json"))
            .chain(["x/model_index.json".to_owned()])
            .collect();
        assert!(find_model(&many).unwrap_err().contains("9001 files"));
        let letters = ["a", "b", "c", "d"].map(|l| format!("all/{l}"));
        let all: Vec<String> = letters.iter().flat_map(|folder| within(folder)).collect();
        let refused = find_model(&all).unwrap_err();
        assert!(
            refused.contains("4 models in all (all/a, all/b, all/c, …)"),
            "{refused}"
        );
    }

    #[test]
    fn controlnets_are_found_in_either_form() {
        let weights = "diffusion_pytorch_model.safetensors";
        let plain = ["config.json", weights].map(|file| format!("drag/{file}"));
        let found = find_controlnet(&plain).unwrap();
        assert_eq!((found.name.as_str(), found.files.len()), ("drag", 2));
        let own = ["controlnet", "relation"]
            .map(|part| ["config.json", weights].map(|file| format!("x/own/{part}/{file}")));
        let mut own = own.concat();
        own.push("x/own/model_index.json".into());
        let found = find_controlnet(&own).unwrap();
        assert_eq!((found.name.as_str(), found.files.len()), ("x/own", 5));
        let none = find_controlnet(&paths(&["drag/config.json"])).unwrap_err();
        assert!(none.contains("no ControlNet in drag"), "{none}");
        let mut two = plain.map(|path| format!("all/{path}")).to_vec();
        two.extend(["config.json", weights].map(|file| format!("all/other/{file}")));
        let several = find_controlnet(&two).unwrap_err();
        assert!(several.contains("2 networks in all"), "{several}");
    }

    #[test]
    fn sizes_have_the_pictures_shape() {
        assert_eq!(video_size((1600, 900), 0), [448, 256]);
        assert_eq!(video_size((1600, 900), USUAL_SIZE), [576, 320]);
        assert_eq!(video_size((1600, 900), 2), [1024, 576]);
        assert_eq!(video_size((900, 1600), 1), [320, 576]);
        assert_eq!(video_size((512, 512), 1), [448, 448]);
    }
}
