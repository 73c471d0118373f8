import Handlebars from "handlebars";

const handlebars = Handlebars.create();
// JSON is YAML: a name with a quote, a colon or a newline stays one string.
handlebars.registerHelper("json", (value: unknown) => JSON.stringify(value));
handlebars.registerHelper("concat", (...parts: unknown[]) => parts.slice(0, -1).join(""));

/** A file from its template. What the template names and `values` lacks is an error, and nothing is escaped but by `json`. */
export function renderTemplate(template: string, values: Record<string, unknown>): string {
  return handlebars.compile(template, { strict: true, noEscape: true })(values);
}
