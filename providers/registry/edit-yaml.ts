import type { Document } from "yaml";
import { isMapping, type Json, type JsonObject } from "../../engine/types.ts";

const HEAD =
  " A cluster of pgdba. Comments stay when pgdba writes here; `pgdba schema cluster` prints what may stand here.";

/**
 * The YAML text that says `after`: made of `text`, of which all stays that does not change, with its comments. A new one when there is
 * no text.
 */
export async function editYaml(text: string | undefined, after: JsonObject): Promise<string> {
  const { Document, isScalar, parseDocument } = await import("yaml");
  const options = { lineWidth: 0, flowCollectionPadding: false };
  if (text === undefined) {
    const fresh = new Document(after);
    fresh.commentBefore = HEAD;
    return fresh.toString(options);
  }
  const document: Document = parseDocument(text, { schema: "core", uniqueKeys: false });
  /** Changes only what is different, so that the rest keeps its comments and its style. */
  const lay = (path: Path, before: Json | undefined, now: Json): void => {
    if (Bun.deepEquals(before, now)) return;
    const node = document.getIn(path, true);
    if (isMapping(before) && isMapping(now)) {
      for (const key of Object.keys(before))
        if (now[key] === undefined) document.deleteIn([...path, key]);
      for (const [key, value] of Object.entries(now))
        if (value !== undefined) lay([...path, key], before[key], value);
    } else if (Array.isArray(before) && Array.isArray(now)) {
      layItems(path, before, now);
    } else if (isScalar(node) && !isCollection(now)) {
      node.value = now;
    } else {
      document.setIn(path, document.createNode(now));
    }
  };
  /** Items are the same by their name, or by all that they are. */
  const layItems = (path: Path, before: Json[], now: Json[]): void => {
    const stays = new Set(now.map(nameOf));
    const left = before.filter((item) => stays.has(nameOf(item)));
    for (let at = before.length - 1; at >= 0; at--)
      if (!stays.has(nameOf(before[at]!))) document.deleteIn([...path, at]);
    now.forEach((item, at) => {
      const same = left[at] !== undefined && nameOf(left[at]) === nameOf(item);
      if (same) return lay([...path, at], left[at], item);
      // The entries behind it may have moved; they are written anew.
      left.length = Math.min(left.length, at);
      if (document.hasIn([...path, at])) document.setIn([...path, at], document.createNode(item));
      else document.addIn(path, document.createNode(item));
    });
    // After a change of order more may be left over than there are.
    for (let at = before.length - 1; at >= now.length; at--)
      if (document.hasIn([...path, at])) document.deleteIn([...path, at]);
  };
  lay([], document.toJS() as Json, after);
  return document.toString(options);
}

type Path = (string | number)[];

function nameOf(item: Json): string {
  return isMapping(item) && typeof item["name"] === "string" ? item["name"] : JSON.stringify(item);
}

function isCollection(value: Json): boolean {
  return typeof value === "object" && value !== null;
}
