/** `scheme://user:password@`, the password up to the last `@`: people forget to write `%40` for one in it. */
const URI = /[a-z][a-z0-9+.-]*:\/\/[^\s/?#@:]*:(\S+)@/gi;
/** As in a connection string of libpq, or the query of a URI. */
const SETTING = /\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s'"&]+))/gi;
/** What a parameter that is a secret is given as; the name of a variable or a file is none. */
const REFERENCE = /^(env|file):/;

/** The passwords that stand in a text by the rules of URIs and connection strings, as written and as meant. */
export function passwordsIn(text: string): string[] {
  const found = [...text.matchAll(URI)].flatMap(([, greedy = ""]) => [
    greedy,
    greedy.split("@")[0]!,
  ]);
  for (const [, quoted, bare] of text.matchAll(SETTING)) {
    if (quoted !== undefined) found.push(quoted, quoted.replace(/\\(.)/g, "$1"));
    else if (bare !== undefined && !REFERENCE.test(bare)) found.push(bare);
  }
  return [...new Set(found.flatMap((one) => [one, decoded(one)]))];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
