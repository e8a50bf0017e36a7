//! The page's own looks: dark or light, and its language. As the system's, unless somebody has chosen; `www/main.js` and `www/words.js`
//! read the choice before the module is there.

use super::{App, act, dom};
use web_sys::{Event, HtmlSelectElement};

const COLOURS: &str = "dragentity-colours";
const LANGUAGE: &str = "dragentity-language";

/// Connects the settings, and shows what was chosen.
pub fn wire() {
    setting("set-colours", COLOURS, |value| {
        if let Some(page) = dom::document().document_element() {
            match value {
                "" => drop(page.remove_attribute("data-colours")),
                _ => dom::set(&page, "data-colours", value),
            }
        }
    });
    setting("set-language", LANGUAGE, |_| {
        act(App::save);
        // All that is said is said anew; the scene is kept.
        let _ = dom::window().location().reload();
    });
}

fn setting(id: &str, key: &'static str, take: fn(&str)) {
    let field: HtmlSelectElement = dom::by_id(id);
    let storage = || dom::window().local_storage().ok().flatten();
    let chosen = storage().and_then(|s| s.get_item(key).ok().flatten());
    field.set_value(&chosen.unwrap_or_default());
    let changed = field.clone();
    dom::listen(&field, "change", move |_: Event| {
        let value = changed.value();
        if let Some(storage) = storage() {
            let _ = storage.set_item(key, &value);
        }
        take(&value);
    });
}
