//! The link of the scene: shown, copied, and as a QR code for the phone beside it.

use super::messages::{Kind, say};
use super::{App, act, canvas, dom, menu};
use dragentity_core::scene::preset::Preset;
use qrcode::{Color, EcLevel, QrCode};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Element, HtmlCanvasElement, HtmlElement, HtmlInputElement, MouseEvent};

/// Light modules around a code, without which it is not found (ISO 18004).
const QUIET: usize = 4;
/// Pixels of the canvas a module: as sharp on a screen with two pixels a point.
const MODULE: usize = 4;

/// Connects the menu.
pub fn wire() {
    menu::wire("share-open", "share");
    dom::listen(
        &dom::by_id::<Element>("share-open"),
        "click",
        |_: MouseEvent| act(|app| app.show_link()),
    );
    dom::listen(
        &dom::by_id::<Element>("copy-link"),
        "click",
        |_: MouseEvent| act(|app| app.copy_link()),
    );
}

impl App {
    fn link_of_scene(&self) -> String {
        let address = dom::window().location().href().unwrap_or_default();
        Preset::rounded(self.editor.scene(), &self.editor.settings).to_link(&address)
    }

    /// Shows the link, and its code if there is one of that size.
    fn show_link(&self) {
        let link = self.link_of_scene();
        let field: HtmlInputElement = dom::by_id("share-link");
        field.set_value(&link);
        let code = QrCode::with_error_correction_level(&link, EcLevel::L).ok();
        dom::show(&dom::by_id::<HtmlElement>("share-code-row"), code.is_some());
        dom::show(&dom::by_id::<HtmlElement>("share-long"), code.is_none());
        if let Some(code) = code {
            draw(&code, &dom::by_id("share-code"));
        }
    }

    fn copy_link(&self) {
        let link = self.link_of_scene();
        let promise = dom::window().navigator().clipboard().write_text(&link);
        spawn_local(async move {
            match JsFuture::from(promise).await {
                Ok(_) => say(
                    Kind::Done,
                    "Link copied. It restores entities, paths and settings; the picture itself is not in it.",
                ),
                Err(_) => {
                    // It is shown already: marked, a key copies it.
                    dom::by_id::<HtmlInputElement>("share-link").select();
                    say(
                        Kind::Error,
                        "The browser does not let the page copy. The link is marked: copy it from there (Ctrl+C).",
                    );
                }
            }
        });
    }
}

/// Dark on light, whatever the page's colours are: many readers know nothing else.
fn draw(code: &QrCode, canvas: &HtmlCanvasElement) {
    let modules = code.width();
    let side = ((modules + 2 * QUIET) * MODULE) as u32;
    canvas.set_width(side);
    canvas.set_height(side);
    let context = canvas::context_in_memory(canvas);
    context.set_fill_style_str("#fff");
    context.fill_rect(0.0, 0.0, side.into(), side.into());
    context.set_fill_style_str("#000");
    for (i, colour) in code.to_colors().into_iter().enumerate() {
        if colour == Color::Dark {
            let place = |n: usize| ((n + QUIET) * MODULE) as f64;
            let size = MODULE as f64;
            context.fill_rect(place(i % modules), place(i / modules), size, size);
        }
    }
}
