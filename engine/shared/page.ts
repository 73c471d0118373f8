import { html, type Html, raw } from "./markup.ts";

/** A page that needs nothing but a browser: its style and script are in it, and it may load nothing. */
export function pageOf(about: {
  title: string;
  style: string;
  script?: string;
  body: Html;
}): string {
  const scripts = about.script === undefined ? "" : "; script-src 'unsafe-inline'";
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="${raw(`default-src 'none'; style-src 'unsafe-inline'${scripts}`)}"
        />
        <title>${about.title}</title>
        <style>
          ${raw(about.style)}
        </style>
      </head>
      <body>
        ${about.body} ${about.script === undefined ? null : raw(`<script>${about.script}</script>`)}
      </body>
    </html> `.text;
}
