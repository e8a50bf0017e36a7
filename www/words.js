// What the page says, in the language that was chosen, else in the browser's. English stands where it is used, in index.html and
// src/web; every other language is a table from those sentences to its own, in words/. `{}` is what changes in a sentence, in order;
// `{t}` is that, said in the language, too.

const KEY = 'dragentity-language';

/** The languages that there are, beside English. */
export const OTHERS = ['de'];

/** The language of the page: chosen, else the first of the browser's that there is. */
export function language() {
  let chosen;
  try {
    chosen = localStorage.getItem(KEY);
  } catch {
    // Some browsers keep nothing, and throw.
  }
  const wanted = [chosen, ...(navigator.languages ?? [])].filter(Boolean).map((tag) => tag.slice(0, 2));
  return wanted.find((tag) => tag === 'en' || OTHERS.includes(tag)) ?? 'en';
}

const plain = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** What says a sentence as the table does; sentences that are not in it, errors of the library above all, stay as they are. */
export function translator(table) {
  const patterns = Object.entries(table)
    .filter(([key]) => key.includes('{}'))
    .sort(([a], [b]) => b.length - a.length)
    .map(([key, words]) => {
      const letters = key.replaceAll('{}', '').length;
      // "{} to {}" is the half of many a sentence.
      return { pattern: new RegExp(`^${key.split('{}').map(plain).join('(.+?)')}$`, 's'), words, most: letters < 8 ? 40 : Infinity };
    });
  return function say(text) {
    if (Object.hasOwn(table, text)) return table[text];
    for (const { pattern, words, most } of patterns) {
      const found = text.length <= most && pattern.exec(text);
      if (found) {
        let i = 0;
        return words.replace(/\{t?\}/g, (place) => (place === '{t}' ? say(found[++i]) : found[++i]));
      }
    }
    return text;
  };
}

/** Has the whole page say what it says so. */
function put(say) {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.nodeType === Node.TEXT_NODE) {
      const text = node.data.trim().replace(/\s+/g, ' ');
      if (text) node.data = node.data.replace(node.data.trim(), () => say(text));
      continue;
    }
    for (const name of ['title', 'aria-label', 'placeholder']) {
      if (node.hasAttribute(name)) node.setAttribute(name, say(node.getAttribute(name)));
    }
  }
}

/** Sets the page's language; what the module says later goes through `globalThis.dragentityWords`. */
export async function speak() {
  const own = language();
  if (own === 'en') return;
  try {
    const answer = await fetch(`words/${own}.json`);
    if (!answer.ok) throw new Error(answer.statusText);
    const say = translator(await answer.json());
    globalThis.dragentityWords = say;
    document.documentElement.lang = own;
    put(say);
  } catch (error) {
    console.warn(`The page stays English: ${error.message ?? error}`);
  }
}
