import { isMapping } from "../../json.ts";
import type { Json } from "../../types.ts";

/** A path that leads to, or into, a call of the answer as the command line knows it, where it is a command; undefined for another. */
function commandPath(path: string): string | undefined {
  const words = path.split(".");
  const at = words.indexOf("call");
  return at === -1 ? undefined : [...words.slice(0, at), "command"].join(".");
}

/** The paths as the command line takes them: what is a `call` in the answer of a tool is a `command` there, unless it has a `call` itself. */
export function withCommands(paths: readonly string[]): string[] {
  const all = paths.flatMap((path) => path.split(",")).map((path) => path.trim());
  return [...new Set(all.flatMap((path) => [path, commandPath(path) ?? path]))];
}

/** Data without the word that a path leads nowhere where its other form led somewhere. */
export function withoutTwins(data: Json, paths: readonly string[]): Json {
  if (!isMapping(data) || !Array.isArray(data["not_there"])) return data;
  const { not_there: missing, there_are: keys, ...found } = data;
  const asked = paths.flatMap((path) => path.split(",")).map((path) => path.trim());
  const left = (missing as string[]).filter((path) => {
    if (!asked.includes(path)) return false;
    const twin = commandPath(path);
    return twin === undefined || (missing as string[]).includes(twin);
  });
  return left.length === 0 ? found : { ...found, not_there: left, there_are: keys ?? [] };
}
