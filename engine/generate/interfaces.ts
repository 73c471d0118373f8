/** The alternatives of a union type, one per line of its declaration. @throws Error when `source` has no such type */
export function alternativesOf(source: string, name: string): string[] {
  const found = new RegExp(`^export type ${name} =\n((?: {2}\\| .*\n)+)`, "m").exec(source);
  if (!found) throw new Error(`there is no union type ${name}`);
  return found[1]!
    .trim()
    .split("\n")
    .map((line) => line.replace(/^\s*\| /, "").replace(/;$/, ""));
}

/** A member of an interface of the contracts, with its comment. */
export interface Member {
  name: string;
  signature: string;
  comment: string;
}

/**
 * The members of an interface, read from the source text: what authors of step types are given is described where it is declared, and
 * nowhere else. @throws Error when `source` has no such interface
 */
export function membersOf(source: string, name: string): Member[] {
  const head = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n`, "m").exec(source);
  if (!head) throw new Error(`there is no interface ${name}`);
  const start = head.index + head[0].length;
  const body = source.slice(start, source.indexOf("\n}", start));
  const members: Member[] = [];
  let comment: string[] = [];
  let declaration = "";
  for (const line of body.split("\n").map((each) => each.trim())) {
    if (declaration === "" && /^(\/\*\*|\*)/.test(line)) {
      comment.push(line.replace(/^\/?\*+\/? ?/, "").replace(/ ?\*\/$/, ""));
      continue;
    }
    declaration = `${declaration} ${line}`.trim();
    if (!declaration.endsWith(";")) continue;
    const [member] = /^(?:readonly )?\w+/.exec(declaration) ?? [""];
    members.push({
      name: member.replace("readonly ", ""),
      signature: declaration.slice(0, -1).replaceAll(/\s+/g, " "),
      comment: comment.join(" ").trim(),
    });
    comment = [];
    declaration = "";
  }
  return members;
}
