import { columns, roomOf, type Room, sections } from "./help.ts";
import { wrap } from "./text.ts";

/** What somebody types who wants to write a runbook. */
export const AUTHORING = ["authoring", "runbook", "runbooks", "writing"];

/** A whole file, as it is copied: its lines stay as they are. */
export const FIRST_RUNBOOK = `summary: The largest tables, and whether one is too large
risk: read
needs: [postgres]
params:
  limit: {type: string, format: bytes, default: 10GB, description: The size from which a table is too large}
steps:
  - id: tables
    sql.query:
      sql: |
        select oid::regclass::text as name, pg_total_relation_size(oid) as bytes
        from pg_class where relkind = 'r' order by bytes desc limit 10
  - assert:
      that: steps.tables.output.rows.all(t, t.bytes < bytes(params.limit))
      message: "A table is larger than {{params.limit}}"
output:
  tables: steps.tables.output.rows
`;

/** Help for somebody who wants to write a runbook: where it goes, one to begin with, and where the rest is told. */
export function authoringHelp(room: Room = {}): string {
  const wide = roomOf(room);
  return sections([
    [
      "",
      wrap(
        "A runbook of your own is one YAML file of typed steps. In .pgdba/runbooks/team/big-tables.yaml it is pgdba team big-tables, started in the folder that holds .pgdba. Or it lies in a folder that --runbooks names, in ~/.pgdba/runbooks or in /etc/pgdba/runbooks.",
        wide,
      ),
    ],
    ["Example", FIRST_RUNBOOK.trimEnd().split("\n")],
    [
      "Commands",
      columns(
        [
          ["pgdba help steps", "the step types there are"],
          ["pgdba help sql.query", "one of them: its input, its output and an example"],
          ["pgdba show maintenance/checkpoint", "what another runbook is made of, and its file"],
          ["pgdba lint team/big-tables", "checks it without running anything"],
          ["pgdba test team/big-tables", "runs its tests, in big-tables.test.yaml beside it"],
          ["pgdba team big-tables --plan", "shows what it would do"],
          ["pgdba schema --out .pgdba/schema.json", "completion for your editor"],
        ],
        wide,
      ),
    ],
    [
      "Documentation",
      columns(
        [
          ["docs/authoring.md", "runbooks, their tests, health checks, step types"],
          ["docs/language.md", "the language: expressions, loops, retries, undo"],
          ["docs/steps.md", "the step types"],
          ["docs/reference.md", "all keys of a file, and the functions of expressions"],
        ],
        wide,
      ),
    ],
  ]);
}
