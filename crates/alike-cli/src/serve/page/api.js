// Requests to the service: everything the page shows comes from its own routes, see docs/api.md.

let key = sessionStorage.getItem("alike-key") ?? "";
let asking = null;

function askForKey() {
  asking ??= new Promise((done) => {
    const dialog = document.getElementById("key-dialog");
    dialog.onclose = () => {
      key = document.getElementById("key").value;
      sessionStorage.setItem("alike-key", key);
      asking = null;
      done();
    };
    dialog.showModal();
  });
  return asking;
}

/** One request; errors of the service come as exceptions with its own words. */
export async function ask(path, { method = "GET", body, type = "application/json" } = {}) {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  if (body !== undefined) headers["content-type"] = type;
  const sent = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  const used = key;
  const answer = await fetch(path, { method, headers, body: sent }).catch(() => {
    throw new Error("The server does not answer. Is it still running?");
  });
  if (answer.status === 401) {
    if (used === key) await askForKey();
    return ask(path, { method, body, type });
  }
  const text = await answer.text();
  let content = {};
  try {
    content = text ? JSON.parse(text) : {};
  } catch {
    // What is no JSON comes from something between: its status says enough.
  }
  if (!answer.ok) {
    const error = new Error(content.error?.message ?? `${answer.status} ${answer.statusText}`);
    Object.assign(error, { code: content.error?.code, status: answer.status });
    throw error;
  }
  return content;
}

export const post = (path, body) => ask(path, { method: "POST", body });

/** What a route of a newer server says; null where this one does not have it. */
export async function maybe(request) {
  try {
    return await request;
  } catch (error) {
    if (error.status === 404 || error.status === 405) return null;
    throw error;
  }
}

/** What is asked once and kept for a minute. */
function kept(load) {
  let [value, until] = [null, 0];
  return () => {
    if (!value || Date.now() > until) {
      value = load();
      until = Date.now() + 60_000;
      value.catch(() => (value = null));
    }
    return value;
  };
}

export const model = kept(() => ask("/v1/model"));
export const other = kept(() => ask("/v1/model?model=compare"));
export const scenarios = kept(() => ask("/v1/scenarios"));
export const attributes = kept(async () => (await maybe(ask("/v1/attributes")))?.attributes ?? []);

/** Categories, most frequent first where that is known: value and, if known, number of items. */
export async function knownCategories() {
  const told = (await attributes()).find((attribute) => attribute.key === "category");
  if (told?.values.length) return told.values;
  return (await model()).categories.map((value) => ({ value }));
}

/** Names of the scenarios of these kinds, in the order of `kinds`. */
export async function rowsOf(...kinds) {
  const all = await scenarios();
  return kinds.flatMap((kind) => all.filter((scenario) => scenario.kind === kind).slice(0, 1)).map((scenario) => scenario.name);
}

export const at = encodeURIComponent;

const pictures = new Map();

/** Where an image element finds a picture; with a key it has to be fetched, since elements send none. */
export async function picture(path) {
  if (!key) return path;
  if (!pictures.has(path)) {
    const load = fetch(path, { headers: { authorization: `Bearer ${key}` } }).then(async (answer) => {
      if (!answer.ok) throw new Error(answer.statusText);
      return URL.createObjectURL(await answer.blob());
    });
    pictures.set(path, load);
  }
  return pictures.get(path);
}
