import { PgdbaError } from "../../../engine/errors.ts";
import type { Json } from "../../../engine/types.ts";

const MAX_REDIRECTS = 5;

export type Parse = "auto" | "json" | "text" | "none";

/** Follows redirects of reading requests within the origin; any other redirect is the answer. */
export async function follow(
  url: URL,
  init: BunFetchRequestInit,
  reading: boolean,
): Promise<Response> {
  let at = url;
  for (let hops = 0; ; hops++) {
    const response = await fetch(at, init);
    const location = response.headers.get("location");
    if (
      !reading ||
      hops === MAX_REDIRECTS ||
      !location ||
      response.status < 300 ||
      response.status > 399
    ) {
      return response;
    }
    const next = URL.canParse(location, at.href) ? new URL(location, at) : null;
    if (next?.origin !== url.origin || next.username !== "") return response;
    await response.body?.cancel();
    at = next;
  }
}

/** The body as the output holds it. @throws PgdbaError http_failed when it should be JSON and is not */
export function parsed(where: string, parse: Parse, response: Response, body: string) {
  if (parse === "none") return {};
  const isJson = /^application\/(?:[\w.+-]+\+)?json\b/i.test(
    response.headers.get("content-type") ?? "",
  );
  if (parse === "text" || (parse === "auto" && !(isJson && body !== ""))) return { text: body };
  try {
    return { json: JSON.parse(body) as Json };
  } catch (cause) {
    throw new PgdbaError("http_failed", `${where} did not answer with JSON`, {
      cause,
      hint: "Use `parse: text` to see it.",
      data: { status: response.status, body: body.slice(0, 2000) },
    });
  }
}
