import { PgdbaError } from "../../engine/errors.ts";
import type { AccessFor } from "../../engine/types.ts";
import { lacking } from "./can.ts";
import type { By, Jobs, KillTarget, Nodes, Opened, Spec, Verb } from "./contract.ts";

interface Rule {
  /** The verb that `can` must have; without one it is there everywhere. */
  verb?: Verb | ((args: readonly unknown[]) => Verb);
  /** `fault` is a change that needs the hazard. Healing is none. */
  does: "read" | "change" | "fault";
  /** Needs the hazard `destroys`. */
  destroys?: (args: readonly unknown[], run: string) => boolean;
}

type Methods<T> = {
  [K in keyof T]: T[K] extends (...args: never[]) => unknown ? K : never;
}[keyof T];

const NODES: Record<Methods<Nodes>, Rule> = {
  can: { does: "read" },
  plan: { does: "read", verb: "provision" },
  provision: {
    does: "change",
    verb: ([spec]) => {
      const roles = (spec as Partial<Spec>).nodes?.flatMap((node) => node.roles) ?? [];
      return roles.includes("monitoring")
        ? "monitor"
        : roles.includes("backup")
          ? "schedule"
          : "provision";
    },
  },
  deprovision: {
    does: "change",
    verb: "deprovision",
    // When a run takes back a node of its own, nothing that was there before is destroyed; the provider keeps the last node with data.
    destroys: ([which], run) => {
      const { run: whose, nodes } = (which ?? {}) as { run?: string; nodes?: unknown };
      return whose !== run && nodes === undefined;
    },
  },
  certify: { does: "change", verb: "certify" },
  prepare: { does: "change", verb: "renew" },
  compare: { does: "read", verb: "renew" },
  renew: { does: "change", verb: "renew" },
  list: { does: "read" },
  watch: { does: "read", verb: "watch" },
  death: { does: "read", verb: "death" },
  fence: { does: "change", verb: "fence" },
  state: { does: "read" },
  start: { does: "change", verb: "start" },
  stop: { does: "change", verb: "stop" },
  kill: { does: "fault", verb: ([, what]) => `kill_${what as KillTarget}` },
  freeze: { does: "fault", verb: "freeze" },
  thaw: { does: "change", verb: "freeze" },
  logs: { does: "read", verb: "logs" },
  facts: { does: "read", verb: "facts" },
  // The step knows whether a program changes something; its effect is declared.
  exec: { does: "read", verb: "exec" },
  put: { does: "change", verb: "put" },
  get: { does: "read", verb: "get" },
  partition: { does: "fault", verb: "partition" },
  fillDisk: { does: "fault", verb: "fill_disk" },
  slowNetwork: { does: "fault", verb: "slow_network" },
  slowDisk: { does: "fault", verb: "slow_disk" },
  arm: { does: "change", verb: "arm" },
  armed: { does: "read", verb: "arm" },
  disarm: { does: "change", verb: "arm" },
  heal: { does: "change", verb: "arm" },
  lease: { does: "change", verb: "lease" },
  leased: { does: "read", verb: "lease" },
};

const JOBS: Record<Methods<Jobs>, Rule> = {
  start: { does: "change", verb: "jobs" },
  find: { does: "read", verb: "jobs" },
  list: { does: "read", verb: "jobs" },
  follow: { does: "read", verb: "jobs" },
  stop: { does: "change", verb: "jobs" },
  forget: { does: "change", verb: "jobs" },
};

/**
 * The verbs as a step may use them: what it did not declare is refused, and so is what the place can't, before anything is done.
 * @throws PgdbaError (from the verbs) step_refused | unsupported
 */
export function nodesFor(
  opened: Opened,
  on: AccessFor & Omit<By, "run" | "path" | "signal">,
): Nodes {
  const nodes = opened.nodes(on);
  const can = remembered(() => nodes.can());
  const guard = <T extends object>(rules: Record<string, Rule>, object: T, prefix: string): T => {
    const methods = Object.entries(rules).map(([name, rule]) => {
      const call = async (...args: unknown[]) => {
        refuseUndeclared(`${prefix}${name}`, rule, args, on);
        await refuseImpossible(rule, args, can);
        const method = object[name as keyof T] as (...args: unknown[]) => Promise<unknown>;
        return method.apply(object, args);
      };
      return [name, call];
    });
    return Object.fromEntries(methods) as T;
  };
  return {
    ...guard(NODES, nodes, "nodes."),
    cluster: nodes.cluster,
    jobs: guard(JOBS, nodes.jobs, "nodes.jobs."),
  };
}

function refuseUndeclared(
  name: string,
  { does, destroys }: Rule,
  args: readonly unknown[],
  { effect, hazards, run }: AccessFor,
): void {
  const refuse = (what: string, hint: string): never => {
    throw new PgdbaError("step_refused", `This step uses ${name} and does not declare ${what}`, {
      hint,
      nothingDone: true,
    });
  };
  if (does !== "read" && effect === "read")
    refuse("that it changes something", "Give its step type `effect: change`.");
  if (does === "fault" && !hazards.includes("fault"))
    refuse("the hazard `fault`", 'Add `hazards: ["fault"]` to the step type.');
  if (destroys?.(args, run) && !hazards.includes("destroys"))
    refuse("the hazard `destroys`", 'Add `hazards: ["destroys"]` to the step type.');
}

async function refuseImpossible(
  { verb }: Rule,
  args: readonly unknown[],
  can: () => ReturnType<Nodes["can"]>,
): Promise<void> {
  if (verb === undefined) return;
  const wanted = typeof verb === "function" ? verb(args) : verb;
  const answer = (await can())[wanted];
  if (!answer.can) throw lacking(wanted, answer.why);
}

/** Asked once; a failure is asked again. */
function remembered<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= ask();
    answer.catch(() => (answer = undefined));
    return answer;
  };
}
