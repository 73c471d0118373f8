import { describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  complete,
  completionLines,
  type CompletionFacts,
} from "../../../engine/view/completion.ts";
import { completion, type Shell } from "../../../engine/view/completion-scripts.ts";

const VALUES: Record<string, { word: string; description?: string }[]> = {
  "check of health/check": [{ word: "bloat" }, { word: "wal-off" }],
  "run of config/rollback": [{ word: "r3" }, { word: "r2" }],
  resumable: [{ word: "r2", description: "config/tune, dead" }, { word: "r1" }],
  kind: [{ word: "check" }, { word: "runbook" }],
  topic: [{ word: "sql.query" }, { word: "steps" }],
};

const facts: CompletionFacts = {
  commands: [
    { name: "run", takes: "runbook", summary: "Run a runbook" },
    { name: "lint", takes: "document" },
    { name: "resume", takes: "resumable" },
    { name: "schema", takes: ["policy", "cluster"] },
    { name: "help", takes: "topic" },
    {
      name: "list",
      takes: "runbook",
      flags: { kind: { type: "string", takes: "kind", summary: "" } },
    },
    {
      name: "lab",
      takes: ["up", "status", "down"],
      flags: { fast: { type: "boolean", summary: "" } },
    },
  ],
  runbooks: [
    {
      name: "health/check",
      params: {
        fail_on: { enum: ["warning", "critical"] },
        only: { type: "array", items: { enum: ["vacuum", "wal"] } },
        skip: { type: "array", items: { type: "string", format: "check" } },
        html: { type: "string", format: "file" },
        deep: { type: "boolean" },
      },
    },
    { name: "health/report", params: {} },
    { name: "config/rollback", params: { run: { type: "string", format: "run", positional: 1 } } },
    {
      name: "config/tune",
      params: { workload: { enum: ["oltp", "web"], positional: 1 }, memory: { type: "string" } },
    },
  ],
  clusters: ["lab", "prod"],
  documents: ["health/checks/wal-off"],
  valuesOf: async (format, runbook) => VALUES[runbook ? `${format} of ${runbook}` : format] ?? [],
  flags: {
    cluster: { type: "string", short: "c", summary: "" },
    format: { type: "string", summary: "" },
    yes: { type: "boolean", summary: "Confirms it" },
    events: { type: "string", file: true, summary: "" },
  },
};

const FIRST = ["config", "health", "help", "lab", "lint", "list", "resume", "run", "schema"];

test.each([
  [[""], FIRST],
  [["he"], ["health", "help"]],
  [
    ["health", ""],
    ["check", "report"],
  ],
  [["run", "health/c"], ["health/check"]],
  [
    ["resume", ""],
    ["r2", "r1"],
  ],
  [["lab", "s"], ["status"]],
  [
    ["schema", ""],
    ["cluster", "policy"],
  ],
  [
    ["list", "--kind", ""],
    ["check", "runbook"],
  ],
  [["list", "--kind=r"], ["--kind=runbook"]],
  [
    ["config", "rollback", "--run", ""],
    ["r3", "r2"],
  ],
  [
    ["run", "config/rollback", ""],
    ["r3", "r2"],
  ],
  [
    ["help", "s"],
    ["schema", "sql.query", "steps"],
  ],
  [
    ["help", "health"],
    ["health", "health/check", "health/report"],
  ],
  [
    ["help", "health", ""],
    ["check", "report"],
  ],
  [
    ["lab", "--f"],
    ["--fast", "--format"],
  ],
  [
    ["health", "check", "--"],
    [
      "--cluster",
      "--deep",
      "--events",
      "--fail-on",
      "--format",
      "--html",
      "--only",
      "--skip",
      "--yes",
    ],
  ],
  [["run", "health/check", "--fa"], ["--fail-on"]],
  [
    ["health", "check", "--fail-on", ""],
    ["critical", "warning"],
  ],
  [["health", "check", "--only", "v"], ["vacuum"]],
  [["health", "check", "--only", "vacuum,"], ["vacuum,wal"]],
  [["health", "check", "--only=wal,v"], ["--only=wal,vacuum"]],
  [
    ["health", "check", "--skip", ""],
    ["bloat", "wal-off"],
  ],
  [["lint", "health/checks/"], ["health/checks/wal-off"]],
  [["health", "check", "--deep", "--fail-on=w"], ["--fail-on=warning"]],
  [["--cluster", "lab", "health", "ch"], ["check"]],
  [
    ["-c", ""],
    ["lab", "prod"],
  ],
  [
    ["--format", ""],
    ["auto", "json", "table", "yaml"],
  ],
  [
    ["config", "tune", ""],
    ["oltp", "web"],
  ],
  [["config", "tune", "--memory", "4GB", "o"], ["oltp"]],
  [["run", "config/tune", "w"], ["web"]],
  [["config", "tune", "--memory", ""], []],
  [["nothing", ""], []],
  [[], FIRST],
] as [string[], string[]][])("%j", async (words, proposals) => {
  const { words: found, files } = await complete(words, facts);
  expect([found.map(({ word }) => word), files]).toEqual([proposals, false]);
});

test.each([
  [["health", "check", "--html", ""]],
  [["health", "check", "--html=x"]],
  [["--events", "a"]],
  [["lint", "./t"]],
  [["lint", "policy.ya"]],
])("file names for %j", async (words) => {
  expect(completionLines(await complete(words, facts))).toBe(":files");
});

test("proposals come with what they mean", async () => {
  expect(completionLines(await complete(["ru"], facts))).toBe("run\tRun a runbook");
  expect(completionLines(await complete(["health", "check", "--ye"], facts))).toBe(
    "--yes\tConfirms it",
  );
  expect(completionLines(await complete(["resume", "r2"], facts))).toBe("r2\tconfig/tune, dead");
  expect(completionLines(await complete(["heal"], facts))).toBe("health\tcheck, report");
});

/** A folder with a `pgdba` that answers as `pgdba __complete` would, and the script of a shell. */
function answering(shell: Shell): string {
  const dir = mkdtempSync(join(tmpdir(), "pgdba-completion-"));
  const script = join(dir, "answer.ts");
  const { valuesOf: _, ...data } = facts;
  const values = JSON.stringify(VALUES);
  writeFileSync(
    script,
    `import { complete, completionLines } from ${JSON.stringify(join(import.meta.dir, "../../../engine/view/completion.ts"))};
const words = process.argv.slice(2);
if (words.shift() !== "__complete") process.exit(9);
const facts = { ...${JSON.stringify(data)}, valuesOf: async (format, runbook) => (${values})[runbook ? format + " of " + runbook : format] ?? [] };
console.log(completionLines(await complete(words, facts)));`,
  );
  writeFileSync(join(dir, "pgdba"), `#!/bin/sh\nexec "${process.execPath}" "${script}" "$@"\n`);
  chmodSync(join(dir, "pgdba"), 0o755);
  writeFileSync(join(dir, `completion.${shell}`), completion(shell));
  writeFileSync(join(dir, "report one.html"), "");
  return dir;
}

const COMPLETE: Record<Shell, string> = {
  // Outside of its line editor zsh has no compadd: what the script would hand to it is printed.
  zsh: `compdef() {}; compset() {}; compadd() { print -rl -- $words_only }; _files() { print -rl -- *report*(N) }
source "$1/completion.zsh"; cd "$1"; words=(\${(z)2}); [[ $2 == *\\  ]] && words+=(""); CURRENT=$#words; _pgdba`,
  bash: `source "$1/completion.bash"; complete -p pgdba >/dev/null || exit 8; cd "$1"; COMP_LINE=$2; COMP_POINT=\${#2}; _pgdba; [ \${#COMPREPLY[@]} = 0 ] || printf '%s\\n' "\${COMPREPLY[@]}"`,
  fish: `source $argv[1]/completion.fish; cd $argv[1]; complete -C $argv[2]`,
};

describe.each((["bash", "zsh", "fish"] as const).filter((shell) => Bun.which(shell) !== null))(
  "in a real %s",
  (shell) => {
    test.each([
      ["pgdba health ch", ["check"]],
      ["pgdba health check --fail-on=w", ["warning"]],
      ["pgdba lab ", ["down", "status", "up"]],
      ["pgdba resume ", ["r2", "r1"]],
      ["pgdba schema ", ["cluster", "policy"]],
      ["pgdba list --kind ", ["check", "runbook"]],
      ["pgdba help st", ["steps"]],
      ["pgdba config rollback --run ", ["r3", "r2"]],
      ["pgdba health check --html rep", ["report one.html"]],
      ["pgdba zzz", []],
    ])("%j", async (line, reply) => {
      const dir = answering(shell);
      try {
        const argv =
          shell === "fish"
            ? ["fish", "--no-config", "-c", COMPLETE.fish, dir, line]
            : [shell, ...(shell === "zsh" ? ["-f"] : []), "-c", COMPLETE[shell], shell, dir, line];
        const env = { ...process.env, HOME: dir, PATH: `${dir}:${process.env["PATH"]}` };
        const child = Bun.spawn(argv, { env, stderr: "pipe" });
        const out = (await new Response(child.stdout).text()).trim();
        // fish shows the meaning after a tab, and the whole word where the flag stands in it.
        const words = out === "" ? [] : out.split("\n").map((each) => each.split("\t")[0]!);
        expect(words.map((word) => word.replace(/^--[\w-]+=/, ""))).toEqual(reply);
        expect(await child.exited).toBe(0);
      } finally {
        rmSync(dir, { recursive: true });
      }
    });
  },
);

const shells = (["bash", "zsh", "fish"] as const).filter((shell) => Bun.which(shell) !== null);
test.each(shells as Shell[])("%s accepts the script", (shell) => {
  const check = Bun.spawnSync([shell, "-n", "/dev/stdin"], {
    stdin: Buffer.from(completion(shell)),
  });
  expect(check.stderr.toString()).toBe("");
  expect(check.exitCode).toBe(0);
});
