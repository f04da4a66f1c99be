// The classes of a model to choose from: with pictures where it is known how they look.

import { element } from "./views.js";

/**
 * One choice per class, the first one chosen. `sprite` is the address of one row of square
 * pictures, a class each, or null.
 */
export function classChoices(names, sprite) {
  return names.map((name, index) => {
    const input = element("input", { type: "radio", name: "class", value: index, checked: index === 0 });
    const said = element("span", { text: name.replaceAll("_", " ") });
    const picture = sprite === null ? [] : [cutOut(sprite, index, names.length)];
    return element("label", { className: sprite === null ? "" : "pictured" }, [input, ...picture, said]);
  });
}

function cutOut(sprite, index, count) {
  const made = element("span", { className: "look", ariaHidden: "true" });
  const place = count === 1 ? 0 : (100 * index) / (count - 1);
  made.style.backgroundImage = `url("${sprite}")`;
  made.style.backgroundSize = `${100 * count}% 100%`;
  made.style.backgroundPosition = `${place}% 0`;
  return made;
}
