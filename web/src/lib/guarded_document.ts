// xterm.js writes style elements and style attributes, which the manager's Content-Security-Policy forbids. It takes the
// document that it makes elements with as an option: this one makes elements that go the allowed ways, a constructed style
// sheet and the style object.

// Even an empty style element is refused: an inert one stands in for it.
function guardedStyle(element: HTMLElement): HTMLElement {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, "textContent", { set: (text: string) => sheet.replaceSync(text) });
  const remove = element.remove.bind(element);
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
    remove();
  };
  return element;
}

function guardStyleAttribute(element: HTMLElement) {
  const setAttribute = element.setAttribute.bind(element);
  element.setAttribute = (name, value) => {
    if (name === "style") element.style.cssText = value;
    else setAttribute(name, value);
  };
}

export function guardedDocument(): Document {
  return new Proxy(document, {
    get(target, name) {
      if (name === "createElement") {
        return (tag: string) => {
          if (tag === "style") return guardedStyle(target.createElement("template"));
          const element = target.createElement(tag);
          if (tag === "span") guardStyleAttribute(element);
          return element;
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value as (...given: unknown[]) => unknown).bind(target) : value;
    },
  });
}
