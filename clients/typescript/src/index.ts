/** Typed client of the server of alike. `schema.ts` is generated from its OpenAPI document. */
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type Schemas = components["schemas"];
export type Alike = Client<paths, `${string}/${string}`>;

/** What a server says when it does not serve a request. */
export class AlikeError extends Error {
  constructor(
    /** The HTTP status. */
    readonly status: number,
    /** A word for programs, which stays the same: `unknown_user`, `invalid`, `busy`, … */
    readonly code: string,
    message: string,
    /** Seconds after which to come again, where the server says it (429). */
    readonly retryAfter?: number,
  ) {
    super(message);
    this.name = "AlikeError";
  }
}

/** A client of the server at `baseUrl`, such as `https://recommend.example.com`, with its API key. */
export function connect(baseUrl: string, key?: string): Alike {
  return createClient<paths>({ baseUrl, headers: key === undefined ? {} : { authorization: `Bearer ${key}` } });
}

/** The answer, or an `AlikeError`: `const list = await answer(alike.POST("/v1/recommendations", { body }))`. */
export async function answer<T>(
  asked: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await asked;
  if (data !== undefined) return data;
  const told = (error as Partial<Schemas["ErrorBody"]> | undefined)?.error;
  const wait = Number(response.headers.get("retry-after") ?? Number.NaN);
  throw new AlikeError(
    response.status,
    told?.code ?? "unknown",
    told?.message ?? response.statusText,
    ...(Number.isFinite(wait) ? [wait] : []),
  );
}

/** Changes many items at once, a line of JSON each; all are done or none. */
export function changeItems(alike: Alike, lines: Schemas["ItemLine"][]): Promise<Schemas["Changed"]> {
  const asked = alike.POST("/v1/items", {
    body: lines.map((line) => JSON.stringify(line)).join("\n"),
    bodySerializer: (text) => text,
    headers: { "content-type": "application/x-ndjson" },
  });
  return answer(asked);
}

/** Items that look like a picture, a JPEG or PNG, where the server has an encoder of pictures. */
export function searchByPicture(alike: Alike, picture: Blob, top = 10): Promise<Schemas["RankedItems"]> {
  const asked = alike.POST("/v1/items/search", {
    params: { query: { top } },
    body: picture as never,
    bodySerializer: () => picture,
    headers: { "content-type": picture.type },
  });
  return answer(asked);
}
