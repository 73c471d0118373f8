import { sleep } from "../../engine/shared/sleep.ts";
import { loopSeconds, readCluster, readStatus } from "./read.ts";
import type { Api } from "./requests.ts";
import { patchConfig } from "./config.ts";

/** The end of a pause or a resume. */
export interface Paused {
  pause: boolean;
  /** True when the store said so before. */
  already: boolean;
  /** Members that answer, and have not taken it. */
  behind: string[];
  /** Members that do not answer; they take it as soon as they see the store. */
  silent: string[];
}

const POLL_MS = 100;
/** How long one member is given to answer, ms. */
const LOOK_MS = 2_000;

/** Pauses the cluster, or ends the pause, and waits until each member says that it has taken it. */
export async function setPause(api: Api, pause: boolean, signal?: AbortSignal): Promise<Paused> {
  const before = await readCluster(api, signal);
  if (before.pause !== pause) await patchConfig(api, { pause: pause ? true : null }, signal);
  const ends = performance.now() + 2 * (await loopSeconds(api, signal)) * 1000 + LOOK_MS;
  let left = before.members;
  for (;;) {
    const said = await Promise.all(
      left.map(async (member) => ({ member, said: await saysItself(api, member.api, signal) })),
    );
    const behind = said.filter((one) => one.said !== null && one.said !== pause);
    const silent = said.filter((one) => one.said === null);
    left = [...behind, ...silent].map(({ member }) => member);
    // One that does not answer, though it was given the time, is not waited for any longer.
    if (behind.length === 0 || performance.now() >= ends) {
      const names = (list: typeof said): string[] => list.map(({ member }) => member.name);
      return {
        pause,
        already: before.pause === pause,
        behind: names(behind),
        silent: names(silent),
      };
    }
    await sleep(POLL_MS, signal);
  }
}

/** Whether the member says that it is paused; null when it says nothing. */
async function saysItself(api: Api, member: string, signal?: AbortSignal): Promise<boolean | null> {
  const late = AbortSignal.timeout(LOOK_MS);
  try {
    const ends = signal === undefined ? late : AbortSignal.any([signal, late]);
    return (await readStatus(api, member, ends)).pause;
  } catch {
    signal?.throwIfAborted();
    return null;
  }
}
