//! Stable Video Diffusion in this browser: the folder with its weights, which the person opens, and what its videos take.

use super::compute_targets::Site;
use super::folders::{self, Files, What};
use super::messages::{Kind, amount, say, sentence};
use super::worker::address;
use super::{App, act, dom};
use crate::web::folder::{Found, SIZES, USUAL_SIZE, find_controlnet, find_model, video_size};
use crate::web::protocol::{Folder, ModelData, ToWorker};
use dragentity_core::scene::Settings;
use dragentity_core::scene::settings::Choice;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    DataTransfer, File, FileList, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry,
    HtmlElement, HtmlInputElement, HtmlOptionElement, HtmlSelectElement,
};

/// Most files that are looked at in a dropped folder, and how deep.
const MOST: usize = 20_000;
const DEEPEST: usize = 8;

/// What the page knows of the model that was opened.
pub struct OwnModel {
    /// What is open; only the worker has read it.
    open: Option<(Brought, ModelData)>,
    /// What is being opened.
    opening: Option<Brought>,
    /// Counts folders: only the last one's answer counts.
    opened: u64,
    /// Whether a person has asked for the last one, not a worker that was started anew.
    is_new: bool,
    /// What the folder is called that can be opened again.
    kept: Option<String>,
    /// Which of the [`SIZES`] is chosen.
    size: usize,
    /// What was asked about a video beforehand: with which settings, of a picture of which size.
    asked: Option<(Settings, (u32, u32))>,
    /// Counts what was asked.
    questions: u64,
    /// The answer.
    foreseen: Option<String>,
}

/// What a person has opened: a worker that is started anew needs its files again.
#[derive(Clone)]
struct Brought {
    model: Folder,
    /// A folder, and the file in it that has the UNet's weights for few steps.
    unet: Option<(Folder, String)>,
    controlnet: Option<Folder>,
}

impl Brought {
    /// What errors and the page call it.
    fn name(&self) -> String {
        let unet = self.unet.as_ref().map(|(_, file)| file.as_str());
        let controlnet = self.controlnet.as_ref().map(|folder| folder.name.as_str());
        let names = [Some(self.model.name.as_str()), unet, controlnet];
        names.into_iter().flatten().collect::<Vec<_>>().join(" + ")
    }

    /// What there is of it.
    fn what(&self) -> Vec<What> {
        let unet = self.unet.as_ref().map(|_| What::Unet);
        let controlnet = self.controlnet.as_ref().map(|_| What::ControlNet);
        [Some(What::Model), unet, controlnet]
            .into_iter()
            .flatten()
            .collect()
    }

    fn is(&self, other: &Self) -> bool {
        let files = |brought: &Self| {
            let unet = brought
                .unet
                .as_ref()
                .map(|(folder, _)| folder.files.clone());
            let controlnet = brought
                .controlnet
                .as_ref()
                .map(|folder| folder.files.clone());
            [Some(brought.model.files.clone()), unet, controlnet]
        };
        files(self) == files(other)
    }
}

/// The files that were found of those of a folder.
fn folder_of(found: Found, files: &[File]) -> Folder {
    let list = js_sys::Array::new();
    for (at, path) in &found.files {
        list.push(&JsValue::from_str(path));
        list.push(&files[*at]);
    }
    Folder {
        name: found.name,
        files: list.into(),
    }
}

/// A file of weights as a folder.
fn few_steps(files: Files) -> Option<(Folder, String)> {
    let (_, file) = files.into_iter().next()?;
    let name = file.name();
    let list = js_sys::Array::of2(&JsValue::from_str(&name), &file);
    let folder = Folder {
        name: "few steps".into(),
        files: list.into(),
    };
    Some((folder, name))
}

/// What lies at an address of the page's own server.
fn folder_at(url: &str) -> Folder {
    let url = url.trim_end_matches('/');
    let name = url.rsplit('/').next();
    Folder {
        name: name.unwrap_or(url).to_owned(),
        files: address(url).into(),
    }
}

impl Default for OwnModel {
    fn default() -> Self {
        Self {
            open: None,
            opening: None,
            opened: 0,
            is_new: false,
            kept: None,
            size: USUAL_SIZE,
            asked: None,
            questions: 0,
            foreseen: None,
        }
    }
}

impl OwnModel {
    /// What is open, or will be: what is added is added to that.
    fn brought(&self) -> Option<&Brought> {
        let open = self.open.as_ref().map(|(brought, _)| brought);
        self.opening.as_ref().or(open)
    }

    /// The settings it was published for.
    pub fn settings(&self) -> Option<&Settings> {
        self.open.as_ref().map(|(_, model)| &model.settings)
    }
}

impl App {
    /// Opens the model in a folder, or, where one is open, the ControlNet in it; the paths begin with the folder's own name.
    pub fn open_model(&mut self, files: Files) {
        let (paths, files): (Vec<String>, Vec<File>) = files.into_iter().unzip();
        match find_model(&paths) {
            Ok(found) => self.open(Brought {
                model: folder_of(found, &files),
                unet: None,
                controlnet: None,
            }),
            Err(why) => match find_controlnet(&paths) {
                Ok(found) if self.model.brought().is_some() => {
                    folders::was_controlnet();
                    self.run_with_controlnet(folder_of(found, &files));
                }
                _ => say(Kind::Error, &sentence(&why)),
            },
        }
    }

    /// Opens the ControlNet in a folder, to run the model with.
    fn open_controlnet(&mut self, files: Files) {
        let (paths, files): (Vec<String>, Vec<File>) = files.into_iter().unzip();
        match find_controlnet(&paths) {
            Ok(found) => self.run_with_controlnet(folder_of(found, &files)),
            Err(why) => say(Kind::Error, &sentence(&why)),
        }
    }

    /// Runs the model with another ControlNet.
    fn run_with_controlnet(&mut self, controlnet: Folder) {
        if let Some(brought) = self.model.brought().cloned() {
            self.open(Brought {
                controlnet: Some(controlnet),
                ..brought
            });
        }
    }

    /// Runs the model with weights for few steps.
    fn open_unet(&mut self, files: Files) {
        if let Some(brought) = self.model.brought().cloned() {
            let unet = few_steps(files);
            self.open(Brought { unet, ..brought });
        }
    }

    /// Opens what was open before a reload.
    fn open_all(&mut self, model: Files, unet: Option<Files>, controlnet: Option<Files>) {
        let (paths, files): (Vec<String>, Vec<File>) = model.into_iter().unzip();
        let beside = controlnet.and_then(|files| {
            let (paths, files): (Vec<String>, Vec<File>) = files.into_iter().unzip();
            Some(folder_of(find_controlnet(&paths).ok()?, &files))
        });
        match find_model(&paths) {
            Ok(found) => self.open(Brought {
                model: folder_of(found, &files),
                unet: unet.and_then(few_steps),
                controlnet: beside,
            }),
            Err(why) => say(Kind::Error, &sentence(&why)),
        }
    }

    /// Opens what a person asks for.
    fn open(&mut self, brought: Brought) {
        self.model.is_new = true;
        self.hand_over_model(brought);
    }

    /// Runs the model without something.
    fn leave_out(&mut self, take: fn(&mut Brought)) {
        if let Some(mut brought) = self.model.brought().cloned() {
            take(&mut brought);
            self.open(brought);
        }
    }

    /// Takes weights that were dropped on the page, for few steps.
    pub(super) fn drop_weights(&mut self, file: File) {
        match self.model.brought() {
            Some(_) => {
                folders::picked_otherwise(What::Unet);
                self.open_unet(vec![(file.name(), file)]);
            }
            None => say(
                Kind::Error,
                "These are weights. Open the folder of Stable Video Diffusion first, then drop them: they make its videos in few steps.",
            ),
        }
    }

    /// Opens the model in a folder at an address of the page's own server, with what is run with it: a file of weights for few steps,
    /// and a ControlNet's folder.
    pub(super) fn open_model_at(
        &mut self,
        url: &str,
        unet: Option<&str>,
        controlnet: Option<&str>,
    ) {
        let unet = unet.map(|url| match url.rsplit_once('/') {
            Some((folder, file)) => (folder_at(folder), file.to_owned()),
            None => (folder_at("."), url.to_owned()),
        });
        What::ALL.into_iter().for_each(folders::picked_otherwise);
        self.open(Brought {
            model: folder_at(url),
            unet,
            controlnet: controlnet.map(folder_at),
        });
    }

    /// Gives what was opened to the worker.
    fn hand_over_model(&mut self, brought: Brought) {
        if self.gone {
            // It may start by now.
            self.crashes = 0;
            self.start_worker();
        }
        self.model.opened += 1;
        let number = self.model.opened;
        let Brought {
            model,
            unet,
            controlnet,
        } = brought.clone();
        self.model.opening = Some(brought);
        self.link.send(&ToWorker::Model {
            number,
            model,
            unet,
            controlnet,
        });
        self.show_compute_targets();
    }

    /// Tells a worker that has just been started of the model that was open. What the one before did not survive is let go.
    pub fn send_model(&mut self) {
        self.model.opening = None;
        self.model.asked = None;
        if let Some((brought, _)) = self.model.open.clone() {
            self.hand_over_model(brought);
        }
    }

    /// The worker has taken a folder, or says why not.
    pub fn model_opened(&mut self, number: u64, model: Option<ModelData>, error: Option<String>) {
        if number != self.model.opened {
            return;
        }
        let Some(brought) = self.model.opening.take() else {
            return;
        };
        if std::mem::take(&mut self.model.is_new) {
            match model {
                Some(_) => folders::are_open(&brought.what()),
                None => folders::was_refused(),
            }
        }
        match model {
            Some(model) => {
                self.model.open = Some((brought, model));
                self.model.asked = None;
                self.choose_place(Site::Folder);
            }
            None => {
                let error = error.unwrap_or_default();
                say(Kind::Error, &sentence(&error));
                // After a new start of the worker, it is the folder that was open.
                if self
                    .model
                    .open
                    .take_if(|open| open.0.is(&brought))
                    .is_some()
                {
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
            kept,
            foreseen,
            ..
        } = &self.model;
        let text = match (opening, open) {
            (Some(brought), _) => format!("Opening {}…", brought.name()),
            (None, None) => "with its public weights, which you bring".into(),
            (None, Some((brought, model))) => {
                let weights = model
                    .bytes
                    .map_or(String::new(), |bytes| format!(", {}", amount(bytes, 0)));
                let what = format!("{}{weights}", brought.name());
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
        let again = dom::by_id::<HtmlElement>("reopen-model");
        let kept = kept
            .as_ref()
            .filter(|_| open.is_none() && opening.is_none());
        dom::show(&again, kept.is_some());
        if let Some(name) = kept {
            dom::set_text(&again, &format!("Open {name} again"));
        }
        let brought = open.as_ref().map(|(brought, _)| brought);
        dom::show(&dom::by_id("beside-model"), brought.is_some());
        // Something to add, or what was added to leave out.
        let beside = |open: &str, close: &str, what: Option<&str>| {
            dom::show(&dom::by_id(open), what.is_none());
            let close = dom::by_id::<HtmlElement>(close);
            dom::show(&close, what.is_some());
            dom::set_text(&close, &format!("Without {}", what.unwrap_or_default()));
        };
        let unet = brought.and_then(|b| b.unet.as_ref());
        beside(
            "open-unet",
            "close-unet",
            unet.map(|(_, file)| file.as_str()),
        );
        let controlnet = brought.and_then(|b| b.controlnet.as_ref());
        beside(
            "open-controlnet",
            "close-controlnet",
            controlnet.map(|folder| folder.name.as_str()),
        );
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
async fn files_below(folder: FileSystemDirectoryEntry) -> Result<Files, String> {
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

/// The files of a folder that was chosen, with their paths from its own name on.
fn chosen(list: &FileList) -> Files {
    (0..list.length())
        .filter_map(|at| list.get(at))
        .map(|file| (relative_path(&file), file))
        .collect()
}

/// A button that has something picked: so that it can be opened again where the browser can, else by a field for files.
fn opens(button: &str, field: &str, what: What, take: fn(&mut App, Files)) {
    let field: HtmlInputElement = dom::by_id(field);
    let opened = field.clone();
    dom::listen(
        &dom::by_id::<HtmlElement>(button),
        "click",
        move |_: web_sys::MouseEvent| {
            if !folders::can_pick(what) {
                return opened.click();
            }
            spawn_local(async move {
                match folders::picked(what).await {
                    Ok(Some(files)) => act(move |app| take(app, files)),
                    Ok(None) => {}
                    Err(why) => {
                        let why = format!("it cannot be read: {why}");
                        say(Kind::Error, &sentence(&why));
                    }
                }
            });
        },
    );
    let chosen_of = field.clone();
    dom::listen(&field, "change", move |_: web_sys::Event| {
        let files = chosen_of
            .files()
            .map_or_else(Vec::new, |list| chosen(&list));
        // The same one may be chosen again.
        chosen_of.set_value("");
        if !files.is_empty() {
            folders::picked_otherwise(what);
            act(move |app| take(app, files));
        }
    });
}

/// Offers to open again what was open before a reload.
pub fn offer_again() {
    spawn_local(async {
        if let Some(name) = folders::model_kept().await {
            act(move |app| {
                app.model.kept = Some(name);
                app.show_model();
            });
        }
    });
}

/// Opens again what was open.
async fn open_again() {
    match folders::opened_again().await {
        Ok([Some(model), unet, controlnet]) => {
            act(move |app| app.open_all(model, unet, controlnet));
        }
        Ok(_) => {}
        Err(why) => {
            let why = format!("the folder cannot be opened again: {why}; open it anew");
            say(Kind::Error, &sentence(&why));
        }
    }
}

/// Connects what opens a model.
pub fn wire() {
    opens("open-model", "model-input", What::Model, App::open_model);
    opens("open-unet", "unet-input", What::Unet, App::open_unet);
    opens(
        "open-controlnet",
        "controlnet-input",
        What::ControlNet,
        App::open_controlnet,
    );
    dom::listen(
        &dom::by_id::<HtmlElement>("reopen-model"),
        "click",
        |_: web_sys::MouseEvent| spawn_local(open_again()),
    );
    let leave_out = |button: &str, taken: fn(&mut Brought)| {
        dom::listen(
            &dom::by_id::<HtmlElement>(button),
            "click",
            move |_: web_sys::MouseEvent| act(move |app| app.leave_out(taken)),
        );
    };
    leave_out("close-unet", |brought| brought.unet = None);
    leave_out("close-controlnet", |brought| brought.controlnet = None);
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
