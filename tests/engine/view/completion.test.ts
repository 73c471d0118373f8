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

const facts: CompletionFacts = {
  commands: [
    { name: "run", takes: "runbook", summary: "Run a runbook" },
    { name: "lint", takes: "document" },
    { name: "resume", takes: "run" },
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
    {
      name: "config/tune",
      params: { workload: { enum: ["oltp", "web"], positional: 1 }, memory: { type: "string" } },
    },
  ],
  clusters: ["lab", "prod"],
  documents: ["health/checks/wal-off"],
  runs: [{ word: "r2", description: "config/tune, ok" }, { word: "r1" }],
  valuesOf: async (format) => (format === "check" ? [{ word: "wal-off" }, { word: "bloat" }] : []),
  flags: {
    cluster: { type: "string", short: "c", summary: "" },
    format: { type: "string", summary: "" },
    yes: { type: "boolean", summary: "Confirms it" },
    events: { type: "string", file: true, summary: "" },
  },
};

test.each([
  [[""], ["config", "health", "lab", "lint", "resume", "run"]],
  [["he"], ["health"]],
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
  [[], ["config", "health", "lab", "lint", "resume", "run"]],
] as [string[], string[]][])("%j", async (words, proposals) => {
  const { words: found, files } = await complete(words, facts);
  expect([found.map(({ word }) => word), files]).toEqual([proposals, false]);
});

test.each([
  [["health", "check", "--html", ""]],
  [["health", "check", "--html=x"]],
  [["--events", "a"]],
  [["lint", "./t"]],
])("file names for %j", async (words) => {
  expect(completionLines(await complete(words, facts))).toBe(":files");
});

test("proposals come with what they mean", async () => {
  expect(completionLines(await complete(["ru"], facts))).toBe("run\tRun a runbook");
  expect(completionLines(await complete(["health", "check", "--ye"], facts))).toBe(
    "--yes\tConfirms it",
  );
  expect(completionLines(await complete(["resume", "r2"], facts))).toBe("r2\tconfig/tune, ok");
  expect(completionLines(await complete(["heal"], facts))).toBe("health\tcheck, report");
});

/** A folder with a `pgdba` that answers as `pgdba __complete` would, and the script of a shell. */
function answering(shell: Shell): string {
  const dir = mkdtempSync(join(tmpdir(), "pgdba-completion-"));
  const script = join(dir, "answer.ts");
  const { valuesOf: _, ...data } = facts;
  writeFileSync(
    script,
    `import { complete, completionLines } from ${JSON.stringify(join(import.meta.dir, "../../../engine/view/completion.ts"))};
const words = process.argv.slice(2);
if (words.shift() !== "__complete") process.exit(9);
const facts = { ...${JSON.stringify(data)}, valuesOf: async () => [{ word: "wal-off" }] };
console.log(completionLines(await complete(words, facts)));`,
  );
  writeFileSync(join(dir, "pgdba"), `#!/bin/sh\nexec "${process.execPath}" "${script}" "$@"\n`);
  chmodSync(join(dir, "pgdba"), 0o755);
  writeFileSync(join(dir, `completion.${shell}`), completion(shell));
  writeFileSync(join(dir, "report one.html"), "");
  return dir;
}

const COMPLETE: Record<"bash" | "fish", string> = {
  bash: `source "$1/completion.bash"; complete -p pgdba >/dev/null || exit 8; cd "$1"; COMP_LINE=$2; COMP_POINT=\${#2}; _pgdba; [ \${#COMPREPLY[@]} = 0 ] || printf '%s\\n' "\${COMPREPLY[@]}"`,
  fish: `source $argv[1]/completion.fish; cd $argv[1]; complete -C $argv[2]`,
};

describe.each((["bash", "fish"] as const).filter((shell) => Bun.which(shell) !== null))(
  "in a real %s",
  (shell) => {
    test.each([
      ["pgdba health ch", ["check"]],
      ["pgdba health check --fail-on=w", ["warning"]],
      ["pgdba lab ", ["down", "status", "up"]],
      ["pgdba resume ", ["r2", "r1"]],
      ["pgdba health check --html rep", ["report one.html"]],
      ["pgdba zzz", []],
    ])("%j", async (line, reply) => {
      const dir = answering(shell);
      try {
        const argv =
          shell === "bash"
            ? ["bash", "-c", COMPLETE.bash, "bash", dir, line]
            : ["fish", "--no-config", "-c", COMPLETE.fish, dir, line];
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
