import assert from "node:assert/strict";
import { EventLog, EVENTS_MAX } from "./event_log.ts";

function log(): { log: EventLog<number>; dropped: number[] } {
  const dropped: number[] = [];
  return { log: new EventLog<number>((event) => dropped.push(event)), dropped };
}

Deno.test("events from before the first subscriber are delivered, in order", async () => {
  const { log: events } = log();
  events.publish(1);
  events.publish(2);
  const subscription = events.subscribe(new AbortController().signal);
  assert.equal((await subscription.next()).value, 1);
  events.publish(3);
  assert.equal((await subscription.next()).value, 2);
  assert.equal((await subscription.next()).value, 3);
  await subscription.return();
});

Deno.test("publish wakes a waiting subscriber", async () => {
  const { log: events } = log();
  const subscription = events.subscribe(new AbortController().signal);
  const next = subscription.next();
  events.publish(1);
  assert.equal((await next).value, 1);
  await subscription.return();
});

Deno.test("an event whose delivery failed is delivered to the next subscriber", async () => {
  const { log: events } = log();
  events.publish(1);
  const first = events.subscribe(new AbortController().signal);
  assert.equal((await first.next()).value, 1);
  await first.return(); // the connection breaks while 1 is written
  const second = events.subscribe(new AbortController().signal);
  assert.equal((await second.next()).value, 1);
  await second.return();
});

Deno.test("a second subscriber takes over", async () => {
  const { log: events } = log();
  const first = events.subscribe(new AbortController().signal);
  const waiting = first.next();
  const second = events.subscribe(new AbortController().signal);
  const next = second.next();
  await assert.rejects(waiting, /another subscriber/);
  events.publish(1);
  assert.equal((await next).value, 1);
  await second.return();
});

Deno.test("an abort ends a subscription, whether it waits or not", async () => {
  const { log: events } = log();
  const abort = new AbortController();
  const subscription = events.subscribe(abort.signal);
  const waiting = subscription.next();
  abort.abort();
  assert.equal((await waiting).done, true);
  events.publish(1);
  assert.equal((await events.subscribe(abort.signal).next()).done, true);
});

Deno.test("the oldest events are dropped if there are too many", async () => {
  const { log: events, dropped } = log();
  for (let event = 0; event < EVENTS_MAX + 3; event++) events.publish(event);
  assert.deepEqual(dropped, [0, 1, 2]);
  const subscription = events.subscribe(new AbortController().signal);
  assert.equal((await subscription.next()).value, 3);
  await subscription.return();
});
