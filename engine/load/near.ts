import { suggest } from "../shared/suggest.ts";

const MOST = 12;

/**
 * The way on from the name of a document that there is not: the nearest name; else those with the same resource, and those with the same
 * action. `say` writes a name as it is typed there. Undefined when none is near.
 */
export function nearNames(
  name: string,
  names: readonly string[],
  say = (one: string) => one,
): string | undefined {
  const slash = name.indexOf("/");
  const [resource, action] = slash < 0 ? [name, ""] : [name.slice(0, slash), name.slice(slash + 1)];
  const own = names.filter((one) => one.startsWith(`${resource}/`));
  // With the resource it would be like any other action of it.
  const close = own.length === 0 ? suggest(name, names) : suggest(action, own.map(actionOf));
  if (close !== undefined)
    return `Did you mean ${say(own.length === 0 ? close : `${resource}/${close}`)}?`;
  const holdsAll = (one: string) => one.includes(resource) && one.includes(action);
  const same = names.filter((one) => actionOf(one) === action || holdsAll(one));
  const near = [...new Set([...(action === "" ? [] : same), ...own])];
  if (near.length === 0) return undefined;
  const shown = near.slice(0, MOST).map(say).join(", ");
  return `${near.length === 1 ? "There is" : "There are"} ${shown}${near.length > MOST ? ", …" : ""}.`;
}

function actionOf(name: string): string {
  return name.slice(name.indexOf("/") + 1);
}
