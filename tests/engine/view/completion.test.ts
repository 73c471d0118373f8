import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  complete,
  completion,
  type CompletionFacts,
  type Shell,
} from "../../../engine/view/completion.ts";

const facts: CompletionFacts = {
  commands: [
    { name: "run", takes: "runbook" },
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
        only: { type: "array", items: { enum: ["vacuum"] } },
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
  runs: ["r1", "r2"],
  flags: {
    cluster: { type: "string", short: "c", summary: "" },
    format: { type: "string", summary: "" },
    yes: { type: "boolean", summary: "" },
  },
};

test.each([
  [[""], ["config", "health", "lab", "resume", "run"]],
  [["he"], ["health"]],
  [
    ["health", ""],
    ["check", "report"],
  ],
  [["run", "health/c"], ["health/check"]],
  [
    ["resume", ""],
    ["r1", "r2"],
  ],
  [["lab", "s"], ["status"]],
  [
    ["lab", "--f"],
    ["--fast", "--format"],
  ],
  [
    ["health", "check", "--"],
    ["--cluster", "--deep", "--fail-on", "--format", "--only", "--yes"],
  ],
  [["run", "health/check", "--fa"], ["--fail-on"]],
  [
    ["health", "check", "--fail-on", ""],
    ["critical", "warning"],
  ],
  [["health", "check", "--only", "v"], ["vacuum"]],
  [["health", "check", "--deep", "--fail-on=w"], ["--fail-on=warning"]],
  [["--cluster", "lab", "health", "ch"], ["check"]],
  [
    ["-c", ""],
    ["lab", "prod"],
  ],
  [
    ["--format", ""],
    ["json", "table", "yaml"],
  ],
  [
    ["config", "tune", ""],
    ["oltp", "web"],
  ],
  [["config", "tune", "--memory", "4GB", "o"], ["oltp"]],
  [["run", "config/tune", "w"], ["web"]],
  [["config", "tune", "--memory", ""], []],
  [["nothing", ""], []],
  [[], ["config", "health", "lab", "resume", "run"]],
] as [string[], string[]][])("%j", (words, proposals) => {
  expect(complete(words, facts)).toEqual(proposals);
});

test.each([
  ["pgdba health ch", "check"],
  ["pgdba health check --fail-on=w", "warning"],
  ["pgdba lab ", "down\nstatus\nup"],
  ["pgdba zzz", ""],
])("in a real bash: %j", async (line, reply) => {
  const dir = mkdtempSync(join(tmpdir(), "pgdba-completion-"));
  try {
    // The real function answers for the command, as `pgdba __complete` would.
    const script = join(dir, "answer.ts");
    writeFileSync(
      script,
      `import { complete } from ${JSON.stringify(join(import.meta.dir, "../../../engine/view/completion.ts"))};
const words = process.argv.slice(2);
if (words.shift() !== "__complete") process.exit(9);
for (const word of complete(words, ${JSON.stringify(facts)})) console.log(word);`,
    );
    const command = join(dir, "pgdba");
    writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${script}" "$@"\n`);
    chmodSync(command, 0o755);
    writeFileSync(join(dir, "completion.bash"), completion("bash"));
    const bash = Bun.spawn(
      [
        "bash",
        "-c",
        `source "$1/completion.bash"; complete -p pgdba >/dev/null || exit 8; COMP_LINE=$2; COMP_POINT=\${#2}; _pgdba; [ \${#COMPREPLY[@]} = 0 ] || printf '%s\\n' "\${COMPREPLY[@]}"`,
        "bash",
        dir,
        line,
      ],
      { env: { ...process.env, PATH: `${dir}:${process.env["PATH"]}` } },
    );
    expect((await new Response(bash.stdout).text()).trim()).toBe(reply);
    expect(await bash.exited).toBe(0);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

const shells = (["bash", "zsh", "fish"] as const).filter((shell) => Bun.which(shell) !== null);
test.each(shells as Shell[])("%s accepts the script", (shell) => {
  const check = Bun.spawnSync([shell, "-n", "/dev/stdin"], {
    stdin: Buffer.from(completion(shell)),
  });
  expect(check.stderr.toString()).toBe("");
  expect(check.exitCode).toBe(0);
});
