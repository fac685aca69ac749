/**
 * Plugin of `deno lint` for the habits of this repository that Deno has no rule for. An exception
 * is an ordinary `// deno-lint-ignore qemubox/RULE`, with the reason.
 */

import { isTest } from "./source_file.ts";

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
/** Of comments, which `deno fmt` does not wrap; it keeps code within the same width. */
const COMMENT_COLUMNS_MAX = 100;
const ROOT = new URL("../../", import.meta.url).pathname;

const plugin: Deno.lint.Plugin = {
  name: "qemubox",
  rules: {
    "file-lines": { create: fileLines },
    "function-lines": { create: functionLines },
    "comment-columns": { create: commentColumns },
    "oci-json": { create: ociJson },
  },
};
export default plugin;

/** A file is about one concept. */
function fileLines(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  return {
    Program() {
      const lines = lineCount(context.sourceCode.text.trimEnd());
      if (lines <= FILE_LINES_MAX) return;
      context.report({
        range: [0, 0],
        message: `file has ${lines} lines, more than ${FILE_LINES_MAX}`,
        hint: "Split it by concept.",
      });
    },
  };
}

/** A function fits a screen. */
function functionLines(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  const check = (node: Deno.lint.Node) => {
    const text = context.sourceCode.getText(node);
    const lines = lineCount(text);
    if (lines <= FUNCTION_LINES_MAX) return;
    const [start] = node.range;
    context.report({
      range: [start, start + text.indexOf("\n")],
      message: `function has ${lines} lines, more than ${FUNCTION_LINES_MAX}`,
      hint: "Move steps of it into separate functions.",
    });
  };
  return {
    FunctionDeclaration: check,
    FunctionExpression: check,
    ArrowFunctionExpression: check,
  };
}

function commentColumns(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  return {
    Program() {
      const { text } = context.sourceCode;
      for (const { range: [start, end] } of context.sourceCode.getAllComments()) {
        let lineStart = text.lastIndexOf("\n", start - 1) + 1;
        for (const line of text.slice(lineStart, end).split("\n")) {
          const columns = [...line].length;
          // A link cannot be wrapped.
          if (columns > COMMENT_COLUMNS_MAX && !/https?:\/\/\S+$/.test(line)) {
            context.report({
              range: [Math.max(lineStart, start), lineStart + line.length],
              message: `comment ends at column ${columns}, after ${COMMENT_COLUMNS_MAX}`,
              hint: "Wrap it.",
            });
          }
          lineStart += line.length + 1;
        }
      }
    },
  };
}

/** OCI JSON has 64-bit numbers, which JSON.parse rounds. */
function ociJson(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  const path = context.filename.replace(ROOT, "");
  if (!path.startsWith("guest/") || isTest(path)) return {};
  const report = (node: Deno.lint.Node) =>
    context.report({
      node,
      message: "JSON in guest/ must be parsed without rounding 64-bit numbers",
      hint: "Use parseOciJson of proto/mod.ts.",
    });
  return {
    'MemberExpression[object.name="JSON"][property.name="parse"]': report,
    'CallExpression[callee.property.name="json"]': report,
  };
}

function lineCount(text: string): number {
  return text.split("\n").length;
}
