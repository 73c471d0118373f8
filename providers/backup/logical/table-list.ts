/** The entries of a dump that one table needs: all definitions, its own data, and indexes and constraints. */

/** Code that would run on what we do next, or that leads to other tables' data. */
const LEFT_OUT =
  /^\d+; \d+ \d+ (FK CONSTRAINT|EVENT TRIGGER|TRIGGER|RULE|POLICY|ROW SECURITY|MATERIALIZED VIEW DATA|TABLE DATA|SEQUENCE SET|BLOBS?|BLOB METADATA|BLOB COMMENTS|PUBLICATION|PUBLICATION TABLE|PUBLICATION TABLES IN SCHEMA|SUBSCRIPTION|SUBSCRIPTION TABLE|STATISTICS DATA|DEFAULT ACL|ACL|DATABASE|DATABASE PROPERTIES) /;

/** Null when the dump has no data of such a table. Names stand in the list as they are, with line breaks as spaces. */
export function entriesFor(
  contents: readonly string[],
  schema: string,
  table: string,
): string[] | null {
  const named = `TABLE DATA ${flat(schema)} ${flat(table)} `;
  const isData = (line: string) => line.replace(/^\d+; \d+ \d+ /, "").startsWith(named);
  if (!contents.some(isData)) return null;
  return contents.filter((line) => isData(line) || !LEFT_OUT.test(line));
}

const flat = (name: string) => name.replace(/[\r\n]/g, " ");
