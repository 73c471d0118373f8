// Asks one question; run in a pseudo terminal by prompt.test.ts.
import { confirm } from "../../../engine/view/prompt.ts";

const [question = "", expect] = process.argv.slice(2);
const answer = await confirm({
  stdin: process.stdin,
  stderr: process.stderr,
  question,
  ...(expect === undefined ? {} : { expect }),
}).catch((error: { code: string }) => error.code);
process.stdout.write(String(answer));
