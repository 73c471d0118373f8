/** One run that mends, killed at one moment, and what becomes of it: resumed, begun anew, or given up. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Place, place } from "../../e2e/support.ts";
import { KILLED, runIn } from "../live.ts";
import { filesLeft, type Scene } from "./scene.ts";

export interface Act {
  /** In the database that is copied for each trial; statements end with a semicolon at the end of a line. */
  template?: string;
  /** What does not lie in the database, or can't be copied. */
  plant?(scene: Scene): Promise<void>;
  words: string[] | ((scene: Scene) => Promise<string[]>);
  env?: Record<string, string>;
  at?: "standby";
  /** Only where Debian's packages have what it needs. */
  on?: "debian";
  /** What is wrong when it has come to its end, beside the state. */
  judge?(scene: Scene, place: Place): Promise<string[]>;
  /** Lines of the state that may differ. */
  ignores?: RegExp;
}

/** How a run that was given up ends. */
const INTERRUPTED = 130;

export const WAYS = ["resume", "again", "give up"] as const;
export type Way = (typeof WAYS)[number];

export interface Outcome {
  said: string[];
  problems: string[];
}

export interface Clean {
  moments: string[];
  before: string[];
  after: string[];
}

const differ = (act: Act, is: string[], wanted: string[]): string[] => {
  const seen = (line: string) => act.ignores?.test(line) !== true;
  return [
    ...is
      .filter((line) => !wanted.includes(line))
      .filter(seen)
      .map((line) => `+ ${line}`),
    ...wanted
      .filter((line) => !is.includes(line))
      .filter(seen)
      .map((line) => `- ${line}`),
  ];
};

const told = (error: any): string => JSON.stringify(error)?.slice(0, 600);

async function prepared(scene: Scene, name: string, act: Act): Promise<string[]> {
  await scene.ready(`from_${name.replaceAll(/\W/g, "_")}`, act.template ?? "");
  await act.plant?.(scene);
  return typeof act.words === "function" ? act.words(scene) : act.words;
}

const environment = (scene: Scene, act: Act) => ({ ...scene.env(act.at ?? "primary"), ...act.env });

/** A run that nobody disturbs: its moments in their order, and the states around it. @throws Error when it fails */
export async function clean(scene: Scene, name: string, act: Act): Promise<Clean> {
  const words = await prepared(scene, name, act);
  const before = await scene.state();
  const at = place();
  const log = join(at.root, "moments");
  const env = { ...environment(scene, act), KILL_LOG: log };
  const { exit, envelope } = await scene.begin(at, env, words).done();
  if (exit !== 0) throw new Error(`${words.join(" ")}: ${told(envelope.error)}`);
  const problems = [
    ...(await scene.settled()),
    ...filesLeft(at),
    ...((await act.judge?.(scene, at)) ?? []),
  ];
  if (problems.length > 0) throw new Error(`${words.join(" ")}: ${problems.join("; ")}`);
  const moments = [...new Set(readFileSync(log, "utf8").split("\n"))].filter((line) => line !== "");
  rmSync(at.root, { recursive: true });
  return { moments, before, after: await scene.state() };
}

export async function trial(
  scene: Scene,
  name: string,
  act: Act,
  known: Clean,
  moment: string,
  way: Way,
): Promise<Outcome> {
  const out: Outcome = { said: [], problems: [] };
  const words = await prepared(scene, name, act);
  const at = place();
  const env = environment(scene, act);
  const { exit, stderr } = await scene.begin(at, { ...env, KILL_AT: moment }, words).ended();
  const id = runIn(stderr);
  if (exit !== KILLED || id === undefined) {
    out.said.push(`not reached, exit ${exit}`);
    rmSync(at.root, { recursive: true });
    return out;
  }
  const run = (...line: string[]) => scene.run(at, env, line);
  const { runs } = (await run("runs")).envelope.data;
  const status = runs.find((one: any) => one.id === id)?.status;
  // Killed when all was done and on record.
  if (status === "ok") {
    out.said.push("it had ended");
    way = "again";
  } else if (status !== "dead") out.problems.push(`runs tells ${told(runs)}`);
  const resume = async (...more: string[]) => {
    const ended = await run("resume", id, ...more);
    const code = ended.exit;
    if (code === 0 || code === 5) return ended;
    out.problems.push(`resume ${more.join(" ")}: exit ${code} ${told(ended.envelope.error)}`);
    return ended;
  };
  let ended: { exit: number; envelope: any };
  if (way === "resume") ended = await resume();
  else if (way === "give up") {
    ended = await run("resume", id, "--give-up", "-v");
    if (process.env["SHOW"]) console.log(JSON.stringify(ended, null, 1).slice(0, 9000));
    out.said.push(`given up: exit ${ended.exit} ${told(ended.envelope.error?.message)}`);
    if (![1, 5, INTERRUPTED].includes(ended.exit))
      out.problems.push(`give up: exit ${ended.exit} ${told(ended.envelope.error)}`);
  } else {
    ended = await run(...words, "--yes");
    const { error } = ended.envelope;
    const warned = JSON.stringify(ended.envelope).includes(id);
    if (!warned && status === "dead")
      out.problems.push(`the same command does not name the dead run: ${told(ended.envelope)}`);
    if (ended.exit !== 0) {
      out.said.push(`the same command: exit ${ended.exit} ${told(error.message)}`);
      ended = status === "dead" ? await resume() : { ...ended, exit: 0 };
    }
  }
  const left = await scene.settled();
  if (left.length > 0) out.problems.push(`still there: ${left.join("; ")}`);
  const state = await scene.state();
  const undone = differ(act, state, known.before);
  const done = differ(act, state, known.after);
  const wanted = ended.exit === 0 ? done : undone;
  if (wanted.length === 0) out.said.push(ended.exit === 0 ? "done" : "undone");
  else if (way === "again" && ended.exit === 0 && status === "dead") {
    // Something of the dead run may be left, which the answer names: that run does it.
    const { exit: code } = await resume();
    const rest = differ(act, await scene.state(), known.after);
    if (code === 0 && rest.length === 0) out.said.push("done when the dead run was resumed");
    else out.problems.push(`done, but ${wanted.join(" | ").slice(0, 1500)}`);
  }
  // What a runbook keeps stays when it is given up; that is no state that nobody knows of.
  else if (way === "give up" && done.length === 0) out.said.push("kept");
  else if (way === "give up")
    out.said.push(
      `kept in part: ${told(ended.envelope.error.run?.undo)}, ${told(ended.envelope.error.run?.warnings)} ${wanted.join(" | ").slice(0, 500)}`,
    );
  else
    out.problems.push(
      `${ended.exit === 0 ? "done" : "undone"}, but ${wanted.join(" | ").slice(0, 1500)}`,
    );
  if (ended.exit === 0) out.problems.push(...((await act.judge?.(scene, at)) ?? []));
  if (way !== "again") out.problems.push(...filesLeft(at).map((file) => `it has left ${file}`));
  rmSync(at.root, { recursive: true });
  return out;
}
