import account from "./account";
import common from "./common";
import driver from "./driver";
import family from "./family";
import ops from "./ops";
import owner from "./owner";

export default { account, common, driver, family, ops, owner };
