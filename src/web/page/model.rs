//! Stable Video Diffusion in this browser: the folder with its weights, which the person opens, and what its videos take.

use super::compute_targets::Site;
use super::messages::{Kind, amount, say, sentence};
use super::worker::address;
use super::{App, act, dom};
use crate::web::folder::{SIZES, USUAL_SIZE, find_model, video_size};
use crate::web::protocol::{ModelData, ToWorker};
use dragentity_core::scene::Settings;
use dragentity_core::scene::settings::Choice;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DataTransfer, File, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry,
    HtmlElement, HtmlInputElement, HtmlOptionElement, HtmlSelectElement,
};

/// Most files that are looked at in a dropped folder, and how deep.
const MOST: usize = 20_000;
const DEEPEST: usize = 8;

/// What the page knows of the model that was opened.
pub struct OwnModel {
    /// What is open; only the worker has read it.
    open: Option<(Folder, ModelData)>,
    /// What is being opened.
    opening: Option<Folder>,
    /// Counts folders: only the last one's answer counts.
    opened: u64,
    /// Which of the [`SIZES`] is chosen.
    size: usize,
    /// What was asked about a video beforehand: with which settings, of a picture of which size.
    asked: Option<(Settings, (u32, u32))>,
    /// Counts what was asked.
    questions: u64,
    /// The answer.
    foreseen: Option<String>,
}

/// A folder: a worker that is started anew needs its files again.
#[derive(Clone)]
struct Folder {
    name: String,
    /// Paths and files by turns, or its address.
    files: JsValue,
}

impl Default for OwnModel {
    fn default() -> Self {
        Self {
            open: None,
            opening: None,
            opened: 0,
            size: USUAL_SIZE,
            asked: None,
            questions: 0,
            foreseen: None,
        }
    }
}

impl OwnModel {
    /// The settings it was published for.
    pub fn settings(&self) -> Option<&Settings> {
        self.open.as_ref().map(|(_, model)| &model.settings)
    }
}

impl App {
    /// Opens the model in a folder; the paths begin with the folder's own name.
    pub fn open_model(&mut self, files: Vec<(String, File)>) {
        let (paths, files): (Vec<String>, Vec<File>) = files.into_iter().unzip();
        let found = match find_model(&paths) {
            Ok(found) => found,
            Err(why) => return say(Kind::Error, &sentence(&why)),
        };
        let list = js_sys::Array::new();
        for (at, path) in &found.files {
            list.push(&JsValue::from_str(path));
            list.push(&files[*at]);
        }
        let name = found.name;
        let files = list.into();
        self.hand_over_model(Folder { name, files });
    }

    /// Opens the model in a folder at an address of the page's own server.
    pub(super) fn open_model_at(&mut self, url: &str) {
        let name = url.trim_end_matches('/').rsplit('/').next();
        self.hand_over_model(Folder {
            name: name.unwrap_or(url).to_owned(),
            files: address(url).into(),
        });
    }

    /// Gives a folder to the worker.
    fn hand_over_model(&mut self, folder: Folder) {
        if self.gone {
            // It may start by now.
            self.crashes = 0;
            self.start_worker();
        }
        self.model.opened += 1;
        let number = self.model.opened;
        let (name, files) = (folder.name.clone(), folder.files.clone());
        self.model.opening = Some(folder);
        self.link.send(&ToWorker::Model {
            number,
            name,
            files,
        });
        self.show_compute_targets();
    }

    /// Tells a worker that has just been started of the model that was open. What the one before did not survive is let go.
    pub fn send_model(&mut self) {
        self.model.opening = None;
        self.model.asked = None;
        if let Some((folder, _)) = self.model.open.clone() {
            self.hand_over_model(folder);
        }
    }

    /// The worker has taken a folder, or says why not.
    pub fn model_opened(&mut self, number: u64, model: Option<ModelData>, error: Option<String>) {
        if number != self.model.opened {
            return;
        }
        let Some(folder) = self.model.opening.take() else {
            return;
        };
        match model {
            Some(model) => {
                self.model.open = Some((folder, model));
                self.model.asked = None;
                self.choose_place(Site::Folder);
            }
            None => {
                let error = error.unwrap_or_default();
                say(Kind::Error, &sentence(&error));
                // After a new start of the worker, it is the folder that was open.
                let again = |open: &(Folder, ModelData)| open.0.files == folder.files;
                if self.model.open.take_if(|open| again(open)).is_some() {
                    self.choose_place(Site::Here);
                }
            }
        }
        self.show_compute_targets();
        self.update();
    }

    /// What a job of the opened model is run with: its own settings, but for what the person chose, and what of a link does not
    /// depend on how a model was trained.
    pub fn model_settings(&self, chosen: &Settings) -> Option<Settings> {
        let model = self.model.settings()?;
        let request = Choice {
            frames: Some(chosen.frames),
            fps: Some(chosen.fps),
            steps: Some(chosen.steps),
            size: Some(chosen.size.unwrap_or_else(|| {
                let picture = &self.editor.scene().picture;
                video_size((picture.width, picture.height), self.model.size)
            })),
            ..Choice::default()
        };
        let link = Choice::from(chosen).for_another_model();
        Some(Settings::resolve(&request, &link, model))
    }

    /// Asks how the video would be made, if that is not known for these settings and this picture.
    pub fn foresee(&mut self) {
        let picture = &self.editor.scene().picture;
        let size = (picture.width, picture.height);
        if !self.compute_targets.is_folder() || picture.is_empty() || self.model.opening.is_some() {
            return;
        }
        let Some(settings) = self.model_settings(&self.editor.settings) else {
            return;
        };
        let question = Some((settings.clone(), size));
        if self.model.asked == question {
            return;
        }
        self.model.asked = question;
        self.model.foreseen = None;
        self.model.questions += 1;
        let number = self.model.questions;
        self.send_picture();
        self.link.send(&ToWorker::Foresee { number, settings });
        self.show_sizes();
        self.show_model();
    }

    /// How the video would be made.
    pub fn foreseen(&mut self, number: u64, text: String) {
        if number == self.model.questions {
            self.model.foreseen = Some(text);
            self.show_model();
        }
    }

    /// Whether there is a model, and what its videos take.
    pub fn show_model(&self) {
        let OwnModel {
            open,
            opening,
            foreseen,
            ..
        } = &self.model;
        let text = match (opening, open) {
            (Some(folder), _) => format!("Opening {}…", folder.name),
            (None, None) => "with its public weights, which you bring".into(),
            (None, Some((folder, model))) => {
                let weights = model
                    .bytes
                    .map_or(String::new(), |bytes| format!(", {}", amount(bytes, 0)));
                let what = format!("{}{weights}", folder.name);
                match foreseen {
                    Some(foreseen) if self.compute_targets.is_folder() => {
                        sentence(&format!("{what}. {}", sentence(foreseen)))
                    }
                    _ => what,
                }
            }
        };
        dom::set_text(&dom::by_id("place-model-on"), &text);
        let radio: HtmlInputElement = dom::by_id("place-model");
        radio.set_disabled(open.is_none());
        radio.set_checked(self.compute_targets.is_folder());
        let button = match open.is_some() {
            true => "Open another model folder",
            false => "Open model folder",
        };
        dom::set_text(&dom::by_id("open-model"), button);
    }

    /// The sizes to choose from, in the picture's shape.
    fn show_sizes(&self) {
        let picture = &self.editor.scene().picture;
        let field: HtmlSelectElement = dom::by_id("set-size");
        let mut options: Vec<(String, String)> = Vec::new();
        if let Some([width, height]) = self.editor.settings.size {
            options.push((
                String::new(),
                format!("As the link says, {width} x {height}"),
            ));
        }
        for (at, (name, _)) in SIZES.iter().enumerate() {
            let [width, height] = video_size((picture.width, picture.height), at);
            options.push((at.to_string(), format!("{name}, {width} x {height}")));
        }
        field.set_text_content(None);
        for (value, text) in options {
            let option: HtmlOptionElement = dom::create("option", "");
            option.set_value(&value);
            option.set_text(&text);
            dom::append(&field, &option);
        }
        let chosen = match self.editor.settings.size {
            Some(_) => String::new(),
            None => self.model.size.to_string(),
        };
        field.set_value(&chosen);
    }

    /// Takes the size from its field.
    pub fn take_size(&mut self) {
        let field: HtmlSelectElement = dom::by_id("set-size");
        if let Ok(size) = field.value().parse() {
            self.editor.settings.size = None;
            self.model.size = size;
        }
        self.update();
    }
}

/// The folders among what is dropped. They have to be asked for while the event lasts.
pub fn dropped_folders(data: &DataTransfer) -> Vec<FileSystemDirectoryEntry> {
    let items = data.items();
    (0..items.length())
        .filter_map(|at| items.get(at)?.webkit_get_as_entry().ok().flatten())
        .filter(FileSystemEntry::is_directory)
        .map(JsCast::unchecked_into)
        .collect()
}

/// Opens the model in a folder that was dropped.
pub async fn open_dropped(folder: FileSystemDirectoryEntry) {
    let name = folder.name();
    match files_below(folder).await {
        Ok(files) => act(move |app| app.open_model(files)),
        Err(why) => say(
            Kind::Error,
            &sentence(&format!("{name} cannot be read: {why}")),
        ),
    }
}

/// All files below a folder, with their paths from its own name on.
async fn files_below(folder: FileSystemDirectoryEntry) -> Result<Vec<(String, File)>, String> {
    let mut files = Vec::new();
    let mut waiting = vec![folder];
    while let Some(folder) = waiting.pop() {
        let reader = folder.create_reader();
        loop {
            // Some at a time, and none at the end.
            let some = by_callbacks(|done, failed| {
                reader.read_entries_with_callback_and_callback(done, failed)
            });
            let some: js_sys::Array = some.await?.unchecked_into();
            if some.length() == 0 {
                break;
            }
            for entry in some {
                let entry: FileSystemEntry = entry.unchecked_into();
                let path = entry.full_path().trim_start_matches('/').to_owned();
                if entry.is_directory() {
                    if path.matches('/').count() < DEEPEST {
                        waiting.push(entry.unchecked_into());
                    }
                    continue;
                }
                if files.len() == MOST {
                    return Err(format!(
                        "there are more than {MOST} files in it; drop the folder of the model only"
                    ));
                }
                let entry: FileSystemFileEntry = entry.unchecked_into();
                let file = by_callbacks(|done, failed| {
                    entry.file_with_callback_and_callback(done, failed);
                    Ok(())
                });
                files.push((path, file.await?.unchecked_into()));
            }
        }
    }
    Ok(files)
}

/// What a function gives to the first of two callbacks, or what the second one is told.
async fn by_callbacks(
    call: impl FnOnce(&js_sys::Function, &js_sys::Function) -> Result<(), JsValue>,
) -> Result<JsValue, String> {
    let mut call = Some(call);
    let promise = js_sys::Promise::new(&mut |done, failed| {
        if let Some(call) = call.take()
            && let Err(error) = call(&done, &failed)
        {
            let _ = failed.call1(&JsValue::NULL, &error);
        }
    });
    JsFuture::from(promise).await.map_err(|e| dom::reason(&e))
}

/// Connects what opens a model.
pub fn wire() {
    dom::file_dialog("open-model", "model-input", |list| {
        let files: Vec<_> = (0..list.length())
            .filter_map(|at| list.get(at))
            .map(|file| (relative_path(&file), file))
            .collect();
        if !files.is_empty() {
            act(move |app| app.open_model(files));
        }
    });
    dom::listen(
        &dom::by_id::<HtmlElement>("set-size"),
        "change",
        |_: web_sys::Event| act(App::take_size),
    );
}

/// Where a file is, from the name of the folder on that was chosen with it.
fn relative_path(file: &File) -> String {
    js_sys::Reflect::get(file, &"webkitRelativePath".into())
        .ok()
        .and_then(|path| path.as_string())
        .unwrap_or_default()
}
