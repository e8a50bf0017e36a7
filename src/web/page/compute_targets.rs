//! Where jobs are run: in this browser, at once or by the model that was opened, or by a server that is at the page's own origin
//! or at an address in the settings. The browser, at once, is what is chosen unless the person says otherwise.

use super::messages::{Kind, say, sentence};
use super::remote::{Info, ModelInfo, Server, Trouble};
use super::{App, act, dom};
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlInputElement, Storage};

const ADDRESS: &str = "dragentity-server";
const TOKEN: &str = "dragentity-token";
const PLACE: &str = "dragentity-place";

/// Where jobs are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// In this browser, at once or by the page's own model.
    Here,
    /// In this browser, by the model that was opened.
    Folder,
    /// By the server, when it is there.
    Server,
}

/// What is known of the server.
enum Reach {
    /// There is none.
    Nowhere,
    /// It was asked what it is.
    Asked,
    /// It takes jobs.
    There(Info),
    /// It does not, and why.
    Not(String),
}

/// Where jobs can be run, and what is chosen of it.
pub struct ComputeTargets {
    /// The server that the page came from takes jobs; whether it needs a token.
    own: Option<bool>,
    /// The server of the settings; empty for the page's own.
    address: String,
    token: String,
    reach: Reach,
    chosen: Site,
    /// Counts what was asked: only the last answer counts.
    asked: u64,
}

fn storage() -> Option<Storage> {
    dom::window().local_storage().ok().flatten()
}

fn kept(key: &str) -> String {
    storage()
        .and_then(|s| s.get_item(key).ok()?)
        .unwrap_or_default()
}

fn keep(key: &str, value: &str) {
    if let Some(storage) = storage() {
        // A browser that keeps nothing still works.
        let _ = match value {
            "" => storage.remove_item(key),
            _ => storage.set_item(key, value),
        };
    }
}

impl ComputeTargets {
    /// As the page was left.
    pub fn new() -> Self {
        let mark = dom::document().query_selector("meta[name=\"dragentity-jobs\"]");
        let mark: Option<Element> = mark.ok().flatten();
        Self {
            own: mark.map(|m| m.has_attribute("data-token")),
            address: kept(ADDRESS),
            token: kept(TOKEN),
            reach: Reach::Nowhere,
            // A folder is not kept.
            chosen: match kept(PLACE) == "server" {
                true => Site::Server,
                false => Site::Here,
            },
            asked: 0,
        }
    }

    /// The server that is asked, if any.
    fn server(&self) -> Option<Server> {
        let base = match (self.address.as_str(), self.own) {
            ("", None) => return None,
            ("", Some(_)) => {
                let page = dom::document().base_uri().ok().flatten()?;
                web_sys::Url::new_with_base("api", &page).ok()?.href()
            }
            (address, _) => format!("{address}/api"),
        };
        Some(Server {
            base,
            token: self.token.clone(),
        })
    }

    /// What it is called on the page.
    fn name(&self) -> String {
        match self.address.split_once("://") {
            Some((_, host)) => host.to_owned(),
            None => "This page’s server".into(),
        }
    }

    /// Where jobs go to, if not to this browser.
    pub fn for_jobs(&self) -> Option<Server> {
        match self.reach {
            Reach::There(_) if self.chosen == Site::Server => self.server(),
            _ => None,
        }
    }

    /// The model of the server that jobs go to, if they do.
    pub fn model(&self) -> Option<&ModelInfo> {
        match &self.reach {
            Reach::There(info) if self.chosen == Site::Server => info.model.as_ref(),
            _ => None,
        }
    }

    /// Where clicks go to, if not to this browser, and what makes masks there.
    pub fn for_clicks(&self) -> Option<(Server, &str)> {
        match &self.reach {
            Reach::There(info) if self.chosen == Site::Server => {
                Some((self.server()?, info.segmenter.as_deref()?))
            }
            _ => None,
        }
    }

    /// Whether jobs go to the model that was opened.
    pub fn is_folder(&self) -> bool {
        self.chosen == Site::Folder
    }

    /// The device that jobs run on, if not one of this browser.
    pub fn device(&self) -> Option<&str> {
        match &self.reach {
            Reach::There(info) if self.chosen == Site::Server => {
                info.devices.first().map(String::as_str)
            }
            _ => None,
        }
    }
}

/// An address as it is kept: scheme, host, port and perhaps a path, without a slash at the end.
fn tidy(typed: &str) -> Option<String> {
    let typed = typed.trim();
    // Browsers take blanks in names, for which there is no server.
    if typed.contains(char::is_whitespace) {
        return None;
    }
    let whole = match typed.contains("://") {
        true => typed.to_owned(),
        false => format!("http://{typed}"),
    };
    let url = web_sys::Url::new(&whole).ok()?;
    let usable = ["http:", "https:"].contains(&url.protocol().as_str());
    let address = format!("{}{}", url.origin(), url.pathname());
    usable.then(|| address.trim_end_matches('/').to_owned())
}

/// Why there is no server at `name`, and what to do.
fn not_there(name: &str, own: bool, trouble: &Trouble) -> String {
    match trouble {
        Trouble::Refused { status: 401, why } => format!("{why}. It belongs into the settings"),
        Trouble::Refused { why, .. } => why.clone(),
        Trouble::Away(why) if own => format!("it does not answer ({why})"),
        Trouble::Away(why) => {
            let origin = dom::window().location().origin().unwrap_or_default();
            format!(
                "{name} does not answer ({why}). It must run with --allow-origin {origin}, and this page be served with --connect"
            )
        }
    }
}

impl App {
    /// Asks the server, where there may be one, what it is. `aloud` when the person waits for the answer.
    pub fn ask_server(&mut self, aloud: bool) {
        self.compute_targets.asked += 1;
        let number = self.compute_targets.asked;
        let targets = &mut self.compute_targets;
        let own = targets.address.is_empty();
        let Some(server) = targets.server() else {
            targets.reach = Reach::Nowhere;
            return self.show_compute_targets();
        };
        if own && targets.own == Some(true) && targets.token.is_empty() {
            // Asking without it would only print an error in the browser's console.
            targets.reach = Reach::Not("needs its token, which belongs into the settings".into());
            return self.show_compute_targets();
        }
        targets.reach = Reach::Asked;
        let name = targets.name();
        self.show_compute_targets();
        spawn_local(async move {
            let info = server.info().await;
            act(move |app| {
                if app.compute_targets.asked != number {
                    return;
                }
                app.compute_targets.reach = match info {
                    Ok(info) => takes_jobs(info),
                    Err(trouble) => Reach::Not(not_there(&name, own, &trouble)),
                };
                if let (true, Reach::Not(why)) = (aloud, &app.compute_targets.reach) {
                    say(Kind::Error, &sentence(why));
                }
                app.show_compute_targets();
                app.adopt_own_settings();
            });
        });
    }

    /// Takes the server's address or token from its field.
    pub fn take_server(&mut self, id: &str) {
        let typed = dom::by_id::<HtmlInputElement>(id).value();
        let typed = typed.trim();
        if id == "set-token" {
            self.compute_targets.token = typed.to_owned();
            keep(TOKEN, typed);
        } else {
            let address = if typed.is_empty() {
                Some(String::new())
            } else {
                tidy(typed)
            };
            let Some(address) = address else {
                say(
                    Kind::Error,
                    &format!(
                        "“{typed}” is no address of a server. Write it as http://192.168.1.2:8080."
                    ),
                );
                return self.show_compute_targets();
            };
            if address != self.compute_targets.address {
                // A token is for one server only.
                self.compute_targets.token.clear();
                keep(TOKEN, "");
            }
            keep(ADDRESS, &address);
            self.compute_targets.address = address;
        }
        self.ask_server(true);
    }

    /// Has jobs run there from now on.
    pub fn choose_place(&mut self, site: Site) {
        self.compute_targets.chosen = site;
        keep(PLACE, if site == Site::Server { "server" } else { "" });
        self.show_compute_targets();
        self.adopt_own_settings();
        self.show_status();
        self.foresee();
    }

    /// The server is gone: jobs run here until it is asked again.
    pub fn lose_server(&mut self, why: &str) {
        if self.compute_targets.chosen == Site::Server {
            self.compute_targets.chosen = Site::Here;
        }
        self.compute_targets.reach = Reach::Not(format!("does not answer any more ({why})"));
        self.show_compute_targets();
        self.adopt_own_settings();
        self.show_status();
    }

    /// Shows where jobs can be run, what is chosen, and what is true of the page then.
    pub fn show_compute_targets(&self) {
        let targets = &self.compute_targets;
        let set = |id: &str, text: &str| dom::set_text(&dom::by_id(id), text);
        dom::show(
            &dom::by_id("place-server-row"),
            !matches!(targets.reach, Reach::Nowhere),
        );
        let (usable, text) = match &targets.reach {
            Reach::Nowhere => (false, String::new()),
            Reach::Asked => (false, "asking it what it is…".into()),
            Reach::There(info) => {
                let model = info.model.as_ref().map_or("", |m| &m.name);
                (true, format!("{model} on {}", info.devices.join(" and ")))
            }
            Reach::Not(why) => (false, why.clone()),
        };
        dom::show(
            &dom::by_id("ask-row"),
            matches!(targets.reach, Reach::Not(_)),
        );
        set("place-server-name", &targets.name());
        set("place-server-on", &text);
        let server: HtmlInputElement = dom::by_id("place-server");
        server.set_disabled(!usable);
        let there = usable && targets.chosen == Site::Server;
        server.set_checked(there);
        let here = !there && !targets.is_folder();
        dom::by_id::<HtmlInputElement>("place-here").set_checked(here);
        self.show_model();
        set(
            "privacy",
            &match there {
                true => {
                    let address = targets.server().map_or_else(
                        || targets.name(),
                        |s| s.base.trim_end_matches("/api").to_owned(),
                    );
                    match targets.for_clicks() {
                        None => format!(
                            "Clicks run on this device. A job’s picture and paths are sent to {address} and forgotten there when its video has arrived."
                        ),
                        Some(_) => format!(
                            "Clicks with their picture, and a job’s picture and paths, are sent to {address}; a job is forgotten there when its video has arrived, a clicked picture when the next one is."
                        ),
                    }
                }
                false => "Everything runs on this device. Nothing is uploaded.".into(),
            },
        );
        self.show_segmenter();
        for (id, value) in [
            ("set-server", &targets.address),
            ("set-token", &targets.token),
        ] {
            dom::by_id::<HtmlInputElement>(id).set_value(value);
        }
    }
}

/// Whether a server that answered can be given the page's jobs.
fn takes_jobs(info: Info) -> Reach {
    match &info.model {
        Some(_) => Reach::There(info),
        None => Reach::Not(
            info.why
                .unwrap_or_else(|| "has no model to run jobs with".into()),
        ),
    }
}
