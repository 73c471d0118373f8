/** The beginning of a URI up to the password of `scheme://user:password@`. */
const URI = /[a-z][a-z0-9+.-]{0,30}:\/\/[^/?#@:]{0,256}:/i;
/** As in a connection string of libpq, or the query of a URI. */
const SETTING = /\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s'"&]+))/gi;
/** The form in which a secret parameter is given; the name of a variable or a file is no secret. */
const REFERENCE = /^(env|file):/;

/** The passwords that stand in a text by the rules of URIs and connection strings, as written and as meant. */
export function passwordsIn(text: string): string[] {
  const found = uriPasswords(text).flatMap((greedy) => [greedy, greedy.split("@")[0]!]);
  for (const [, quoted, bare] of text.matchAll(SETTING)) {
    if (quoted !== undefined) found.push(quoted, quoted.replace(/\\(.)/g, "$1"));
    else if (bare !== undefined && !REFERENCE.test(bare)) found.push(bare);
  }
  return [...new Set(found.flatMap((one) => [one, decoded(one)]))];
}

/**
 * The password up to the last `@`: people forget to write `%40` for one in it. Word by word, for one expression over a long
 * text without spaces would take time in proportion to the square of its length.
 */
function uriPasswords(text: string): string[] {
  const found: string[] = [];
  for (const [word] of text.matchAll(/\S+/g)) {
    const end = word.lastIndexOf("@");
    const start = end === -1 ? null : URI.exec(word);
    if (start && start.index + start[0].length < end)
      found.push(word.slice(start.index + start[0].length, end));
  }
  return found;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
