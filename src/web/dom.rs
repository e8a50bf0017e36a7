//! Elements and events, with less ceremony.

use super::words;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, BlobPropertyBag, Document, Element, EventTarget, HtmlAnchorElement, HtmlCanvasElement,
    HtmlElement, HtmlInputElement, Window,
};

/// The window. The module's page half runs nowhere else.
pub fn window() -> Window {
    web_sys::window().expect("the page runs in a window")
}

/// The document.
pub fn document() -> Document {
    window().document().expect("a window has a document")
}

/// An element of the page.
pub fn by_id<T: JsCast>(id: &str) -> T {
    let element = document()
        .get_element_by_id(id)
        .unwrap_or_else(|| panic!("the page has no #{id}"));
    element
        .dyn_into()
        .unwrap_or_else(|_| panic!("#{id} is another kind of element"))
}

/// A new element.
pub fn create<T: JsCast>(tag: &str, class: &str) -> T {
    let element = document().create_element(tag).expect("a valid tag name");
    if !class.is_empty() {
        element.set_class_name(class);
    }
    element
        .dyn_into()
        .unwrap_or_else(|_| panic!("<{tag}> is another kind of element"))
}

/// An icon of the page's sprite.
pub fn icon(name: &str) -> Element {
    const SVG: Option<&str> = Some("http://www.w3.org/2000/svg");
    let document = document();
    let svg = document
        .create_element_ns(SVG, "svg")
        .expect("a valid tag name");
    set(&svg, "aria-hidden", "true");
    let part = document
        .create_element_ns(SVG, "use")
        .expect("a valid tag name");
    set(&part, "href", &format!("#i-{name}"));
    // Appending one new element to another cannot fail.
    let _ = svg.append_child(&part);
    svg
}

/// Appends a child.
pub fn append(parent: &Element, child: &Element) {
    let _ = parent.append_child(child);
}

/// Sets an attribute, unless it has that value already; one that people read is in the page's language.
pub fn set(element: &Element, name: &str, value: &str) {
    let value = match name {
        "title" | "aria-label" | "aria-valuetext" => words::said(value),
        _ => value.into(),
    };
    if element.get_attribute(name).as_deref() != Some(&*value) {
        let _ = element.set_attribute(name, &value);
    }
}

/// Sets the text, in the page's language, unless it is that already (screen readers would say it again).
pub fn set_text(element: &Element, text: &str) {
    let text = words::said(text);
    if element.text_content().as_deref() != Some(&*text) {
        element.set_text_content(Some(&text));
    }
}

/// Shows or hides.
pub fn show(element: &HtmlElement, shown: bool) {
    if element.hidden() == shown {
        element.set_hidden(!shown);
    }
}

/// Calls `f` at every event of this name, for as long as the page lives.
pub fn listen<E: JsCast + 'static>(target: &EventTarget, name: &str, f: impl FnMut(E) + 'static) {
    listen_with(target, name, true, f);
}

/// [`listen`]; with `passive` false, `f` may prevent the default.
pub fn listen_with<E: JsCast + 'static>(
    target: &EventTarget,
    name: &str,
    passive: bool,
    mut f: impl FnMut(E) + 'static,
) {
    let closure = Closure::<dyn FnMut(web_sys::Event)>::new(move |event: web_sys::Event| {
        f(event.unchecked_into());
    });
    let options = web_sys::AddEventListenerOptions::new();
    options.set_passive(passive);
    let _ = target.add_event_listener_with_callback_and_add_event_listener_options(
        name,
        closure.as_ref().unchecked_ref(),
        &options,
    );
    closure.forget();
}

/// A button that opens the dialog of a field for files, and what is done with those that are chosen.
pub fn file_dialog(button: &str, field: &str, take: fn(web_sys::FileList)) {
    let field: HtmlInputElement = by_id(field);
    let opened = field.clone();
    listen(
        &by_id::<Element>(button),
        "click",
        move |_: web_sys::MouseEvent| opened.click(),
    );
    let chosen = field.clone();
    listen(&field, "change", move |_: web_sys::Event| {
        if let Some(list) = chosen.files() {
            take(list);
        }
        // The same file may be chosen again. Not before it was taken: this empties the list.
        chosen.set_value("");
    });
}

/// Whether a media query is true now.
pub fn matches(query: &str) -> bool {
    let list = window().match_media(query).ok().flatten();
    list.is_some_and(|list| list.matches())
}

/// Whether keys belong to the element itself.
pub fn in_field(target: Option<EventTarget>) -> bool {
    let Some(element) = target.and_then(|t| t.dyn_into::<Element>().ok()) else {
        return false;
    };
    match element.tag_name().as_str() {
        "INPUT" => element
            .dyn_ref::<HtmlInputElement>()
            .is_none_or(|i| i.type_() != "range"),
        "TEXTAREA" | "SELECT" => true,
        _ => false,
    }
}

/// Calls `f` once, after at least `ms` milliseconds.
pub fn after(ms: i32, f: impl FnOnce() + 'static) {
    let callback = Closure::once_into_js(f);
    let _ = window()
        .set_timeout_with_callback_and_timeout_and_arguments_0(callback.unchecked_ref(), ms);
}

/// Waits for at least `ms` milliseconds.
pub async fn sleep(ms: i32) {
    let promise = js_sys::Promise::new(&mut |resolve, _| {
        let set = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms);
        if set.is_err() {
            // Nothing will come, so do not wait for it.
            let _ = resolve.call0(&JsValue::NULL);
        }
    });
    // It is only ever resolved.
    let _ = JsFuture::from(promise).await;
}

/// A canvas that is in no document.
pub fn canvas(width: u32, height: u32) -> HtmlCanvasElement {
    let canvas: HtmlCanvasElement = create("canvas", "");
    canvas.set_width(width.max(1));
    canvas.set_height(height.max(1));
    canvas
}

/// What a value thrown by the browser says.
pub fn reason(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => error.as_string().unwrap_or_else(|| format!("{error:?}")),
    }
}

/// Bytes as a file of the browser's.
pub fn blob(bytes: &[u8], kind: &str) -> Result<Blob, String> {
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes));
    let options = BlobPropertyBag::new();
    options.set_type(kind);
    Blob::new_with_u8_array_sequence_and_options(&parts, &options).map_err(|e| reason(&e))
}

/// Offers a file for download.
pub fn offer(bytes: &[u8], name: &str, kind: &str) -> Result<(), String> {
    let url =
        web_sys::Url::create_object_url_with_blob(&blob(bytes, kind)?).map_err(|e| reason(&e))?;
    let anchor: HtmlAnchorElement = create("a", "");
    anchor.set_href(&url);
    anchor.set_download(name);
    anchor.unchecked_ref::<HtmlElement>().click();
    // Not before the browser has begun to read it.
    after(60_000, move || drop(web_sys::Url::revoke_object_url(&url)));
    Ok(())
}
