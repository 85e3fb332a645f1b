/** The generated client against a running server: `.ci/clients` starts one and says where it is, and with which keys. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { type Alike, AlikeError, answer, changeItems, connect, type Schemas, searchByPicture } from "../src/index.js";

function given(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const address = given("ALIKE_ADDRESS");
const reader = connect(address, given("ALIKE_KEY_READ"));
const writer = connect(address, given("ALIKE_KEY_WRITE"));
const office = connect(address, given("ALIKE_KEY_ADMIN"));

/** An id that nobody has. */
const fresh = () => `client-${randomUUID()}`;

/** A user whom the model was trained on. */
async function known(): Promise<string> {
  const { users } = await answer(reader.GET("/v1/users", { params: { query: { top: 1 } } }));
  const [user] = users;
  assert.ok(user);
  return user;
}

const ofUser = (alike: Alike, user: string, top = 10) =>
  answer(alike.GET("/v1/users/{user}/recommendations", { params: { path: { user }, query: { top } } }));

/** Whether an error is of that status and code. */
const refused = (status: number, code: string) => (error: unknown) =>
  error instanceof AlikeError && error.status === status && error.code === code;

test("recommendations for a user and for a basket", async () => {
  const user = await known();
  const mine = await answer(
    reader.POST("/v1/recommendations", { body: { user, top: 5, reasons: 1 } }),
  );
  assert.deepEqual(mine.items.map((item) => item.rank), [1, 2, 3, 4, 5]);
  assert.ok(mine.items[0]?.reasons?.length, "reasons were asked for");
  const items = mine.items.slice(0, 2).map((item) => item.item);
  const theirs = await answer(reader.POST("/v1/recommendations", { body: { items, top: 3, offset: 2 } }));
  assert.deepEqual(theirs.items.map((item) => item.rank), [3, 4, 5]);
  assert.ok(theirs.items.every((item) => !items.includes(item.item)));
});

test("rules reach the server", async () => {
  const filter = { must: [{ key: "category", match: { value: "Comedy" } }] };
  const rules = { filter, limits: [{ key: "title", most: 1 }] };
  const { items } = await answer(
    reader.POST("/v1/recommendations", { body: { user: await known(), top: 5, rules } }),
  );
  assert.ok(items.length > 0 && items.every((item) => item.category?.includes("Comedy")));
});

test("a page has rows without an item twice", async () => {
  const page = await answer(reader.POST("/v1/page", { body: { user: await known() } }));
  assert.ok(page.known && page.rows.length >= 2);
  const shown = page.rows.flatMap((row) => row.items.map((item) => item.item));
  assert.equal(new Set(shown).size, shown.length);
  const scenarios = await answer(reader.GET("/v1/scenarios"));
  const names = new Set(scenarios.map((scenario) => scenario.name));
  assert.ok(page.rows.every((row) => names.has(row.name)));
});

test("an event with a key counts once", async () => {
  const popular = await answer(reader.POST("/v1/recommendations", { body: { items: [], top: 1 } }));
  const item = popular.items[0]?.item;
  assert.ok(item);
  const user = fresh();
  const event: Schemas["NewEvent"] = { user, item, kind: "take", key: `${user}-1` };
  const first = await answer(writer.POST("/v1/events", { body: event }));
  const again = await answer(writer.POST("/v1/events", { body: event }));
  assert.deepEqual([first.written, first.repeated, again.written, again.repeated], [1, 0, 0, 1]);
  const events = [event, { user, item: "no such item", kind: "view" as const }];
  const mixed = await answer(writer.POST("/v1/events", { body: { events } }));
  assert.deepEqual(mixed.unknown, [{ index: 1, item: "no such item" }]);
  const past = await answer(reader.GET("/v1/users/{user}/history", { params: { path: { user } } }));
  assert.deepEqual(past.items.map((one) => one.item), [item]);
  const { response } = await office.DELETE("/v1/users/{user}", { params: { path: { user } } });
  assert.ok(response.status === 200 || response.status === 202);
  await assert.rejects(ofUser(reader, user), refused(404, "unknown_user"));
});

test("an item is put, changed and removed", async () => {
  const params = { path: { item: fresh() } };
  const body: Schemas["ItemFields"] = {
    title: "A shirt",
    category: ["Shirts", "Linen"],
    price: 39,
    attributes: { brand: "x", sizes: ["s", "m"] },
  };
  const made = await answer(writer.PUT("/v1/items/{item}", { params, body }));
  assert.deepEqual([made.title, made.price, made.trained], ["A shirt", 39, false]);
  assert.deepEqual(made.attributes, { brand: ["x"], sizes: ["s", "m"] });
  // What is not named stays; null takes away.
  const changed = await answer(
    writer.PATCH("/v1/items/{item}", { params, body: { stock: 0, price: null } }),
  );
  assert.deepEqual([changed.title, changed.listed, changed.price], ["A shirt", false, undefined]);
  const gone = await answer(writer.DELETE("/v1/items/{item}", { params }));
  assert.equal(gone.item, params.path.item);
  await assert.rejects(answer(reader.GET("/v1/items/{item}", { params })), refused(404, "unknown_item"));
});

test("many items are changed by lines of JSON", async () => {
  const name = fresh();
  const ids = [0, 1, 2].map((number) => `${name}-${number}`);
  const changed = await changeItems(writer, ids.map((item) => ({ item, put: { title: item, price: 1 } })));
  assert.deepEqual(changed, { changed: 3, new: 3 });
  const found = await answer(reader.GET("/v1/items", { params: { query: { query: `${name}-2` } } }));
  assert.ok(found.items.some((item) => item.item === ids[2]));
  await assert.rejects(changeItems(writer, [{ item: "no such item", delete: true }]), refused(422, "invalid"));
  await changeItems(writer, ids.map((item) => ({ item, delete: true })));
});

test("search by features, by text and by picture", async () => {
  const model = await answer(reader.GET("/v1/model"));
  const [modality] = model.modalities;
  assert.ok(modality);
  const features = new Array<number>(modality.dim).fill(1);
  const found = await answer(
    reader.POST("/v1/items/search", { body: { features, modality: modality.name, top: 3 } }),
  );
  assert.equal(found.items.length, 3);
  // This server has no encoder, and says so after it has taken the request.
  const text = answer(reader.POST("/v1/items/search", { body: { text: "a film about toys" } }));
  await assert.rejects(text, refused(422, "no_encoder"));
  await assert.rejects(searchByPicture(reader, new Blob(["\x89PNG"], { type: "image/png" })), refused(422, "no_encoder"));
});

test("errors are typed", async () => {
  const user = fresh();
  const { error, response } = await reader.GET("/v1/users/{user}/history", { params: { path: { user } } });
  assert.equal(response.status, 404);
  // The type of the error is that of the document.
  const code: string | undefined = error?.error.code;
  assert.equal(code, "unknown_user");
  assert.ok(error?.error.message.includes(user));
  await assert.rejects(ofUser(reader, "1", 1001), (thrown: unknown) => {
    assert.ok(refused(422, "invalid")(thrown) && thrown instanceof AlikeError);
    assert.match(thrown.message, /1\.\.=1000/);
    return true;
  });
});

test("keys are asked for and have scopes", async () => {
  const user = await known();
  await assert.rejects(ofUser(connect(address), user), refused(401, "unauthorized"));
  const body: Schemas["NewEvent"] = { user, item: "1", kind: "view" };
  await assert.rejects(answer(reader.POST("/v1/events", { body })), refused(403, "forbidden"));
  const wrongKey = ofUser(connect(address, "0123456789abcdef"), user);
  await assert.rejects(wrongKey, refused(401, "unauthorized"));
});

test("ids with any characters", async () => {
  const params = { path: { item: `${fresh()}/ä?#%2F 1` } };
  const made = await answer(writer.PUT("/v1/items/{item}", { params, body: { title: "odd" } }));
  assert.equal(made.item, params.path.item);
  await answer(writer.DELETE("/v1/items/{item}", { params }));
});

test("what machines ask", async () => {
  const health = await answer(connect(address).GET("/health/ready"));
  assert.equal(health.status, "ok");
  const counts = await answer(reader.GET("/metrics", { parseAs: "text" }));
  assert.match(counts, /alike_requests_total/);
});

// What does not match the document is an error of the compiler.
// @ts-expect-error a kind that there is not
export const wrongKind: Schemas["NewEvent"] = { user: "a", item: "b", kind: "buy" };
// @ts-expect-error the item is missing
export const noItem: Schemas["NewEvent"] = { user: "a", kind: "take" };
// @ts-expect-error a route that there is not
export const noRoute = () => reader.GET("/v1/nothing");
