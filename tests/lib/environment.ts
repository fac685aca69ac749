/** Where and how the tests run, by variables of scripts/testbed and scripts/test. */

/** Whether this process runs in the testbed, which every test with a container needs. */
export const IN_TESTBED = Deno.env.get("QEMUBOX_TESTBED") === "1";

/** Whether that testbed is the one in the lab, where the whole machine is emulated. */
export const IN_LAB = Deno.env.get("QEMUBOX_LAB") === "1";

/** Whether this is `scripts/test --full`, which leaves out nothing. */
export const FULL = Deno.env.get("QEMUBOX_TEST_FULL") === "1";
