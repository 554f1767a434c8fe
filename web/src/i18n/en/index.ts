import type { Translation } from "..";
import account from "./account";
import common from "./common";
import driver from "./driver";
import family from "./family";
import ops from "./ops";
import owner from "./owner";

const en: Translation = { account, common, driver, family, ops, owner };
export default en;
