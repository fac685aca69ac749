/** The fuzzer itself: it finds what is wrong, keeps the input, and repeats it. */

import assert from "node:assert/strict";
import { campaign } from "./campaign.ts";
import { Corpus } from "./corpus.ts";
import { mutated } from "./mutator.ts";
import { Random } from "./random.ts";
import { messagesIn, pieces, sizesOf, type Target, together, utf8 } from "./target.ts";

const BUDGET = { inputs: 20_000, milliseconds: 60_000, seed: 7 };

/** A parser of a length and a text that trusts the length. */
const target = (parse: Target["parse"], name = "planted"): Target => ({
  name,
  seeds: [Uint8Array.of(3, ...utf8("abc"))],
  words: ["evil"],
  parse,
  refuses: (error) => error instanceof SyntaxError,
});

/** Runs a campaign with a corpus of its own. */
async function failureOf(one: Target, corpus: Corpus): Promise<Error | null> {
  return await campaign(one, BUDGET, corpus).then(() => null, (error) => error);
}

async function withCorpus(work: (corpus: Corpus) => Promise<void>): Promise<void> {
  const root = Deno.makeTempDirSync({ prefix: "fuzz-corpus-" });
  try {
    await work(new Corpus("planted", root));
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

Deno.test("a failing input is made short, kept, and fails again in the next run", async () => {
  const trusting = target((bytes) => {
    if (bytes.length === 0) throw new SyntaxError("empty");
    if (bytes[0]! > 0x80 && bytes.length > 2) throw new RangeError("length is trusted");
    return "ok";
  });
  await withCorpus(async (corpus) => {
    const found = await failureOf(trusting, corpus);
    assert.match(found!.message, /length is trusted[^]*of seed 7 kept in .*planted\/[0-9a-f]{16}$/);
    const [kept, ...more] = corpus.read();
    assert.deepEqual(more, []);
    assert.equal(kept!.bytes.length, 3);
    const again = await failureOf(trusting, corpus);
    assert.match(
      again!.message,
      /planted\/[0-9a-f]{16} fails again: RangeError: length is trusted/,
    );
    assert.equal(await failureOf(target(() => "fixed"), corpus), null);
  });
});

Deno.test("a word of the format and a stray rejection are found", async () => {
  const evil = (bytes: Uint8Array) => new TextDecoder().decode(bytes).includes("evil");
  const fail = (bytes: Uint8Array) => {
    if (evil(bytes)) throw new TypeError("evil");
    return "ok";
  };
  const stray = async (bytes: Uint8Array) => {
    if (evil(bytes)) void Promise.reject(new TypeError("evil"));
    await new Promise((resolve) => setTimeout(resolve, 0));
    return "ok";
  };
  for (const [parse, message] of [[fail, /TypeError: evil/], [stray, /nobody waits/]] as const) {
    await withCorpus(async (corpus) => {
      assert.match((await failureOf(target(parse), corpus))!.message, message);
    });
  }
});

Deno.test("the same seed gives the same inputs, which are bounded", () => {
  const material = { pool: [utf8("hello"), utf8("world")], words: [utf8("x")], bytesMax: 100 };
  const inputs = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 500 }, () => mutated(random, material).toString());
  };
  assert.deepEqual(inputs(3), inputs(3));
  assert.notDeepEqual(inputs(3), inputs(4));
  assert(new Set(inputs(3)).size > 300);
  const random = new Random(5);
  for (let count = 0; count < 2_000; count++) {
    assert(mutated(random, material).length <= material.bytesMax);
  }
});

Deno.test("pieces are all of an input, and messages come out as they went in", () => {
  const bytes = new Random(1).bytes(1_000);
  assert.deepEqual([...pieces(bytes, sizesOf(bytes))].flatMap((piece) => [...piece]), [...bytes]);
  const messages = [utf8("a"), utf8(""), utf8("bcd")];
  assert.deepEqual(messagesIn(together(...messages)), messages);
});
