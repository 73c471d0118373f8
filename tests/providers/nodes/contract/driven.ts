import { join } from "node:path";
import type { World } from "./world.ts";

/** Another process that uses a verb. */
export interface Driven {
  /** Waits for a line that begins with `word`, and gives the rest of it. */
  said(word: string): Promise<string>;
  /** As `kill -9` does; what it had started is left to itself. */
  kill(): Promise<void>;
  exited: Promise<number>;
}

export function drive(
  world: World,
  call: { cluster?: string; run: string; verb: string; args: unknown[]; stay?: boolean },
): Driven {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../driver.ts")], {
    stdin: new TextEncoder().encode(JSON.stringify({ ...world.driven(call.cluster), ...call })),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] },
  });
  let text = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const part of child.stdout) text += decoder.decode(part, { stream: true });
  })();
  const errors = new Response(child.stderr).text();
  return {
    async said(word) {
      for (let n = 0; n < 2_000; n++) {
        const line = text.split("\n").find((one) => one.startsWith(word));
        if (line !== undefined && text.includes(`${line}\n`)) return line.slice(word.length + 1);
        if (child.exitCode !== null || child.signalCode !== null) {
          await reading;
          if (!text.includes(`\n${word}`) && !text.startsWith(word))
            throw new Error(`it ended without ${word}: ${text}${await errors}`);
        }
        await Bun.sleep(15);
      }
      throw new Error(`it never said ${word}: ${text}`);
    },
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
    },
    exited: child.exited,
  };
}
