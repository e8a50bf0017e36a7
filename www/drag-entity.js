// <drag-entity src="picture.jpg" preset="preset.json">: the page within another page of the same origin, on this picture and with this
// preset's things and paths. It takes this one script, from where the page is:
//   <script type="module" src="dragentity/drag-entity.js"></script>

/** A preset's text as a link carries it (crates/core/src/scene/preset). */
async function packed(text) {
  const zlib = new Blob([text]).stream().pipeThrough(new CompressionStream('deflate'));
  const bytes = new Uint8Array(await new Response(zlib).arrayBuffer());
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(letters).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

class DragEntity extends HTMLElement {
  static observedAttributes = ['src', 'preset'];

  connectedCallback() {
    this.style.display ||= 'block';
    this.show();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.show();
  }

  async show() {
    const page = new URL('./', import.meta.url);
    const [src, preset] = [this.getAttribute('src'), this.getAttribute('preset')];
    if (src) page.searchParams.set('picture', new URL(src, document.baseURI));
    if (preset) {
      try {
        const answer = await fetch(new URL(preset, document.baseURI));
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        page.hash = `s=${await packed(await answer.text())}`;
      } catch (error) {
        // The picture is shown all the same.
        console.warn(`drag-entity: ${preset} cannot be fetched: ${error.message}`);
      }
    }
    const frame = document.createElement('iframe');
    frame.src = page;
    frame.title = 'DragEntity';
    // Threads, where the page around it may have them.
    frame.allow = 'cross-origin-isolated; clipboard-write; fullscreen';
    frame.style.cssText = 'width: 100%; height: 100%; min-height: 600px; border: 0';
    this.replaceChildren(frame);
  }
}

customElements.define('drag-entity', DragEntity);
