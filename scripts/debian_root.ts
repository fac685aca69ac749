/** Makes the testbed's Debian root, unless it is in the cache, and prints its path. */

import { TESTBED_ROOT } from "./lib/debian_packages.ts";
import { debianRoot } from "./lib/debian_root.ts";

if (import.meta.main) console.log(await debianRoot(TESTBED_ROOT));
