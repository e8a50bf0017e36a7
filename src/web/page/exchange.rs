//! Files of scenes: projects, presets and other programs' paths, opened and saved.

use super::messages::{Kind, say, sentence};
use super::{App, act, dom, scenes};
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::demo::{self, Demo};
use dragentity_core::scene::exchange::{self, Format, Found, Target};
use dragentity_core::scene::project::{EXTENSION, Project};
use dragentity_core::scene::{Picture, Preset, Settings};
use dragentity_core::stored_zip::StoredZip;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Element, File, HtmlElement, MouseEvent};

/// What files of scenes end with, beside projects.
const ENDINGS: [&str; 3] = ["json", "npy", "txt"];
/// Largest file that is read, in bytes.
const MOST: f64 = 512e6;

/// Whether a file is one of a scene rather than a picture, by its name.
fn is_scene(file: &File) -> bool {
    let name = file.name().to_lowercase();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ending == EXTENSION || ENDINGS.contains(&ending))
}

/// Those of some files that a scene is read from: of DragAnything's folder all, pictures too.
pub fn of_scene(files: Vec<File>) -> Vec<File> {
    match files.iter().any(|file| file.name() == demo::INDEX) {
        true => files,
        false => files.into_iter().filter(is_scene).collect(),
    }
}

/// What files of scenes hold.
enum Opened {
    Demo(Box<Demo>),
    Project(Box<Project>),
    Preset(Box<Preset>),
    Paths(Vec<exchange::File>),
}

async fn read(files: Vec<File>) -> Result<Opened> {
    let mut all = Vec::new();
    for file in files {
        let name = file.name();
        if file.size() > MOST {
            return Err(Error::Preset(format!(
                "{name}: is larger than {} MB",
                MOST / 1e6
            )));
        }
        let buffer = JsFuture::from(file.array_buffer())
            .await
            .map_err(|e| Error::Preset(format!("{name}: cannot be read ({})", dom::reason(&e))))?;
        let bytes = js_sys::Uint8Array::new(&buffer).to_vec();
        all.push(exchange::File { name, bytes });
    }
    if all.iter().any(|file| file.name == demo::INDEX) {
        let demo = Demo::read(&mut |name| {
            let file = all.iter().find(|file| file.name == name);
            file.map(|file| file.bytes.clone()).ok_or_else(|| {
                Error::Preset(format!(
                    "{name}: is not among what was opened; open all files of the folder together"
                ))
            })
        })?;
        return Ok(Opened::Demo(Box::new(demo)));
    }
    if let [file] = all.as_slice() {
        if Project::is_like(&file.bytes) {
            let project = Project::parse(&file.bytes, &file.name)?;
            return Ok(Opened::Project(Box::new(project)));
        }
        if let Ok(text) = std::str::from_utf8(&file.bytes)
            && text.contains("\"dragentity\"")
        {
            return Ok(Opened::Preset(Box::new(Preset::parse(text)?)));
        }
    }
    Ok(Opened::Paths(all))
}

/// Opens files of a scene: a project or a preset alone, or another program's paths.
pub async fn open(files: Vec<File>) {
    match read(files).await {
        Ok(Opened::Preset(preset)) => scenes::open_preset(*preset).await,
        Ok(Opened::Project(project)) => act(move |app| app.take_project(*project)),
        Ok(Opened::Demo(demo)) => act(move |app| app.take_demo(*demo)),
        Ok(Opened::Paths(files)) => act(move |app| app.take_paths(&files)),
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &Error) {
    let text = error.to_string();
    say(Kind::Error, &sentence(scenes::strip(&text)));
}

/// Connects what saves.
pub fn wire() {
    let place: Element = dom::by_id("formats");
    for format in Format::ALL {
        let button: HtmlElement = dom::create("button", "figure");
        dom::set(&button, "type", "button");
        dom::set(
            &button,
            "data-testid",
            &format!("save-as-{}", format.name()),
        );
        dom::set_text(&button, words(format));
        dom::listen(&button, "click", move |_: MouseEvent| {
            act(move |app| app.save_paths(format));
        });
        dom::append(&place, &button);
    }
}

/// What a form is called on the page.
fn words(format: Format) -> &'static str {
    match format {
        Format::KjNodes => "KJNodes",
        Format::KjNodesSplines => "KJNodes splines",
        Format::Ati => "ATI",
        Format::DragNuwa => "DragNUWA",
        Format::SgI2v => "SG-I2V",
        Format::WanMove => "Wan-Move",
        Format::MotionCtrl => "MotionCtrl",
        Format::Tora => "Tora",
        Format::DragAnything => "DragAnything",
    }
}

/// Files as one: itself where it is one alone, else an archive of this name.
fn packed(files: Vec<(String, Vec<u8>)>, name: &str) -> std::io::Result<(String, Vec<u8>)> {
    if let [(_, _)] = files.as_slice() {
        return Ok(files.into_iter().next().unwrap_or_default());
    }
    let mut archive = StoredZip::default();
    for (inside, bytes) in &files {
        archive.add(inside, bytes)?;
    }
    Ok((format!("{name}.zip"), archive.finish()?))
}

fn offer(bytes: &[u8], name: &str, kind: &str) {
    if let Err(why) = dom::offer(bytes, name, kind) {
        say(Kind::Error, &format!("It cannot be saved: {why}."));
    }
}

impl App {
    fn take_project(&mut self, project: Project) {
        match project.scene() {
            Ok(scene) => {
                self.take_settings(&project.preset);
                self.open_scene(scene, None);
                self.keep_picture();
            }
            Err(error) => refuse(&error),
        }
    }

    /// Opens DragAnything's folder, with its picture.
    fn take_demo(&mut self, demo: Demo) {
        for note in &demo.notes {
            say(Kind::Note, &sentence(note));
        }
        let wanted = demo.settings();
        self.editor.settings =
            Settings::resolve(&wanted, &Default::default(), &self.editor.settings);
        self.open_scene(demo.scene, None);
        self.keep_picture();
    }

    /// Puts another program's paths on the picture, in place of what there is.
    fn take_paths(&mut self, files: &[exchange::File]) {
        let picture: Picture = self.editor.scene().picture.clone();
        if picture.is_empty() {
            return say(
                Kind::Error,
                "Paths are on a picture: open that first, then the paths.",
            );
        }
        let found: Found = match exchange::read(files, [picture.width, picture.height]) {
            Ok(found) => found,
            Err(error) => return refuse(&error),
        };
        for note in &found.notes {
            say(Kind::Note, &sentence(note));
        }
        let settings = Settings::resolve(
            &found.settings(),
            &Default::default(),
            &self.editor.settings,
        );
        self.editor.settings = settings;
        let sample = self.sample.clone();
        self.open_scene(found.scene(picture), sample);
        say(
            Kind::Note,
            &format!(
                "Paths of {}. Where the file has no masks, each thing’s is a small disc: Shift-click the thing to add what belongs to it.",
                words(found.format)
            ),
        );
    }

    /// Saves everything as one file.
    pub(super) fn save_project(&mut self) {
        let scene = self.editor.scene();
        let project = Project {
            preset: Preset::whole(scene, &self.editor.settings),
            picture: scene.picture.clone(),
            plate: scene.behind.plate.clone(),
        };
        match project.to_bytes() {
            Ok(bytes) => offer(&bytes, &format!("scene.{EXTENSION}"), "application/zip"),
            Err(error) => refuse(&error),
        }
    }

    /// Saves everything but the picture.
    pub(super) fn save_preset(&mut self) {
        let json = self.preset().to_json();
        offer(json.as_bytes(), "scene.json", "application/json");
    }

    /// Saves the paths in another program's form.
    fn save_paths(&self, format: Format) {
        let scene = self.editor.scene().clone().without_hidden();
        let target = Target {
            size: [scene.picture.width, scene.picture.height],
            frames: None,
        };
        let written = match exchange::write(&scene, format, target) {
            Ok(written) => written,
            Err(error) => return refuse(&error),
        };
        for note in &written.notes {
            say(Kind::Note, &sentence(note));
        }
        match packed(written.files, format.name()) {
            Ok((name, bytes)) => offer(&bytes, &name, "application/octet-stream"),
            Err(error) => say(Kind::Error, &format!("It cannot be saved: {error}.")),
        }
    }
}
