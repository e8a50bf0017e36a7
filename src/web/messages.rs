//! Sentences for the person: each stays until it is dismissed (errors) or a while (everything else).

use super::{dom, words};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, MouseEvent};

/// What kind of sentence.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something failed.
    Error,
    /// Something worked.
    Done,
    /// Something to know.
    Note,
}

/// Most messages at a time; the oldest goes.
const MOST: u32 = 4;

/// Says it, in the page's language.
pub fn say(kind: Kind, text: &str) {
    let text = &*words::said(text);
    let place: Element = dom::by_id("messages");
    let children = place.children();
    // The same sentence twice is one.
    for i in 0..children.length() {
        if let Some(old) = children.item(i)
            && old
                .query_selector("p")
                .ok()
                .flatten()
                .and_then(|p| p.text_content())
                .as_deref()
                == Some(text)
        {
            old.remove();
        }
    }
    while place.child_element_count() >= MOST {
        let Some(old) = place.first_element_child() else {
            break;
        };
        old.remove();
    }
    let class = match kind {
        Kind::Error => "message error",
        Kind::Done => "message done",
        Kind::Note => "message",
    };
    let message: HtmlElement = dom::create("div", class);
    dom::set(&message, "data-testid", "message");
    if kind == Kind::Error {
        dom::set(&message, "role", "alert");
    }
    let words: HtmlElement = dom::create("p", "");
    words.set_text_content(Some(text));
    let close: HtmlElement = dom::create("button", "icon");
    dom::set(&close, "type", "button");
    dom::set(&close, "aria-label", "Dismiss");
    dom::set(&close, "data-testid", "dismiss");
    dom::append(&close, &dom::icon("close"));
    dom::append(&message, &words);
    dom::append(&message, &close);
    dom::append(&place, &message);
    let closing = message.clone();
    dom::listen(&close, "click", move |_: MouseEvent| closing.remove());
    if kind != Kind::Error {
        // Long enough to read: two seconds and a sixteenth of one for each letter.
        dom::after(2000 + 60 * text.len() as i32, move || message.remove());
    }
}

/// Takes away what went wrong before: something new is begun.
pub fn close_errors() {
    let place: Element = dom::by_id("messages");
    while let Ok(Some(old)) = place.query_selector(".message.error") {
        old.remove();
    }
}

/// Tells the style sheet how high the messages are: what they would lie over ends above them, or can be scrolled out from beneath.
pub fn make_room() {
    let messages: HtmlElement = dom::by_id("messages");
    let high = messages.offset_height();
    let said = if high == 0 { 0 } else { high + 28 };
    if let Some(page) = dom::document().document_element() {
        let page: HtmlElement = page.unchecked_into();
        let _ = page.style().set_property("--said", &format!("{said}px"));
    }
}

/// An error's sentence: begins with a capital, ends with a full stop.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    // A file's name at the beginning stays as it is.
    let named = text
        .split(':')
        .next()
        .is_some_and(|word| word.contains('.'));
    let mut out: String = match text.chars().next() {
        Some(_) if named => text.into(),
        Some(first) => first.to_uppercase().chain(text.chars().skip(1)).collect(),
        None => "Something went wrong".into(),
    };
    if !out.ends_with(['.', '!', '?', '…']) {
        out.push('.');
    }
    out
}

/// Megabytes read, of how many if that is known.
pub fn amount(done: u64, total: u64) -> String {
    let mb = |n: u64| format!("{:.0}", n as f64 / 1e6);
    match total {
        0 => format!("{} MB", mb(done)),
        _ => format!("{} of {} MB", mb(done), mb(total)),
    }
}
