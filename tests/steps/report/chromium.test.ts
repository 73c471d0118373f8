import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { page, type Report } from "../../../steps/report/page/page.ts";
import { browse, chromiumMissing, picture } from "../../support/chromium.ts";
import { sharedServer } from "../../support/postgres.ts";
import { HOSTILE, hostileReport } from "./pages.ts";
import { folder, removeFolders } from "./support.ts";

const missing = chromiumMissing();

describe.skipIf(missing !== null)(
  `the page in a real browser${missing === null ? "" : `: ${missing}`}`,
  () => {
    let dir: string;
    let file: string;
    let report: Report;
    beforeAll(async () => {
      dir = folder();
      report = await hostileReport(await sharedServer());
      file = join(dir, "report.html");
      writeFileSync(file, page(report));
    });
    afterAll(removeFolders);

    test("hostile names stay text: no element and no title comes of them", async () => {
      const dom = await browse(file, "--dump-dom");
      const elements = new Set(
        [...dom.matchAll(/<([a-z][a-z0-9]*)/gi)].map(([, name]) => name!.toLowerCase()),
      );
      expect(elements).not.toContain("script");
      expect(elements).not.toContain("img");
      expect(dom).not.toContain("<title>owned");
      expect(dom.match(/<svg/g)!.length).toBeGreaterThan(20);
      expect(dom.match(/<figure/g)).toHaveLength(6);
      expect(dom.match(/<section/g)).toHaveLength(9);
      expect(dom).toContain(`public."${HOSTILE[4]}"`);
      // What the parser had to mend would have left elements in other places than they were written.
      expect(dom.match(/<article class="finding/g)!.length).toBe(
        readFileSync(file, "utf8").match(/<article class="finding/g)!.length,
      );
    }, 300_000);

    test("the same names unescaped would become elements, and still run nothing", async () => {
      const spoiled = join(dir, "spoiled.html");
      writeFileSync(
        spoiled,
        page(report).replace("</main>", `${HOSTILE.slice(0, 2).join("")}</main>`),
      );
      const dom = await browse(spoiled, "--dump-dom");
      expect(dom).toContain("<script>");
      expect(dom).toContain("<img ");
      expect(dom).not.toContain("<title>owned");
    }, 300_000);

    test("light is light, dark is dark, narrow is as narrow as the screen", async () => {
      const shot = async (name: string, ...flags: string[]) => {
        const png = join(dir, `${name}.png`);
        await browse(file, `--screenshot=${png}`, ...flags);
        return picture(readFileSync(png));
      };
      const light = await shot(
        "light",
        "--window-size=1280,900",
        "--blink-settings=preferredColorScheme=1",
      );
      const dark = await shot(
        "dark",
        "--window-size=1280,900",
        "--blink-settings=preferredColorScheme=0",
      );
      expect(light).toEqual({ width: 1280, height: 900, corner: [255, 255, 255] });
      expect(Math.max(...dark.corner)).toBeLessThan(40);
    }, 300_000);

    test("the foot of the page gets no sheet of its own", async () => {
      // As tall as a sheet but for a line: the rest of the page would fill its last sheet like this now and then.
      const full = page(report)
        .replace(/<header>.*<\/header>/s, "")
        .replace(/<main>.*<\/main>/s, `<main><div style="height: 920px">x</div></main>`);
      const [source, pdf] = [join(dir, "full.html"), join(dir, "full.pdf")];
      writeFileSync(source, full);
      await browse(source, `--print-to-pdf=${pdf}`, "--no-pdf-header-footer");
      expect(readFileSync(pdf, "latin1").match(/\/Type\s*\/Page\b/g)).toHaveLength(1);
    }, 300_000);

    test("it prints on more than one page of paper", async () => {
      const pdf = join(dir, "report.pdf");
      await browse(file, `--print-to-pdf=${pdf}`, "--no-pdf-header-footer");
      const bytes = readFileSync(pdf, "latin1");
      expect(bytes).toStartWith("%PDF-");
      expect(bytes.match(/\/Type\s*\/Page\b/g)!.length).toBeGreaterThan(2);
    }, 300_000);
  },
);
