// Whose page it is: an id, known or new, or a random person.

import { ask, at } from "./api.js";
import { calm, guarded, icon, make, say } from "./dom.js";
import { go, to } from "./route.js";
import { anybody } from "./session.js";

let pickers = 0;

/** A form that goes to `view` for the chosen person. */
export function picker(view, chosen) {
  const list = `people-${(pickers += 1)}`;
  const options = make("datalist", { id: list });
  const field = make("input", {
    name: "person",
    value: chosen ?? "",
    autocomplete: "off",
    list,
    placeholder: "an id, known or new",
    maxlength: 256,
    "data-key": "picker",
  });
  const suggest = calm(async () => {
    const found = await ask(`/v1/users?query=${at(field.value.trim())}&top=12`).catch(() => ({ users: [] }));
    options.replaceChildren(...found.users.map((user) => make("option", { value: user })));
  }, 150);
  field.addEventListener("input", suggest);
  field.addEventListener("focus", suggest, { once: true });
  const submit = guarded(async () => {
    const id = field.value.trim();
    if (id) go(to(view, id));
    else if (view === "person") go(to("person"));
    else say("Give the id of a person, known or new.");
  });
  const random = guarded(async () => {
    const id = await anybody();
    if (id === null) say("The server knows nobody yet: give any id.");
    else go(to(view, id));
  });
  return make(
    "form.picker",
    { role: "search", "aria-label": "Choose a person", onsubmit: submit },
    make("label", make("span", "Person"), field),
    options,
    make("button", { type: "submit" }, "Show"),
    make("button", { type: "button", class: "random", "data-key": "random", onclick: random }, icon("other"), "Random person"),
  );
}
