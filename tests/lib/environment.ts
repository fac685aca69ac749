/** Where the tests run. `scripts/testbed` sets both variables for the command that it runs. */

/** Whether this process runs in the testbed, which every test with a container needs. */
export const IN_TESTBED = Deno.env.get("QEMUBOX_TESTBED") === "1";

/** Whether that testbed is the one in the lab, where the whole machine is emulated. */
export const IN_LAB = Deno.env.get("QEMUBOX_LAB") === "1";
