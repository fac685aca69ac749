/**
 * Child process of store_test.ts, which runs many at once: records and removes one attachment,
 * three times, but keeps the last record. Arguments: database file, id.
 */
import { parseConf } from "../conf.ts";
import { AttachmentStore } from "../store.ts";

const [path, id] = Deno.args as [string, string];
const conf = parseConf('{"cniVersion":"1.0.0","name":"n","type":"ptp"}', "/f");
const owner = { namespace: "default", id };
const attachment = { conf, containerId: id, netns: "/n", ifname: "eth0", capabilityArgs: {} };
for (let round = 0; round < 3; round++) {
  for (
    const work of [
      (store: AttachmentStore) => store.intend(owner, attachment),
      (store: AttachmentStore) => store.record(owner, "eth0", { round }, 1),
      (store: AttachmentStore) => {
        const [found] = store.list(owner);
        if ((found?.result as { round: number }).round !== round) throw new Error("lost a row");
        if (round < 2) store.remove(owner, "eth0");
      },
    ]
  ) {
    using store = AttachmentStore.open(path);
    work(store);
  }
}
