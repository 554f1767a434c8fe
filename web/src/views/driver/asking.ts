// Before something ends that others rely on, the driver is asked, and told what will happen.
import { showToast } from "vant/es/toast";
import "vant/es/toast/style";
import { driver } from "@/api/calls";
import { asProblem } from "@/api/problem";
import type { Binding, Delegation, Share } from "@/api/types";
import { asks as asksFirst } from "@/ask";
import { problemText } from "@/format";
import { t } from "@/i18n";

export const asks = (title: string, message: string, yes: string): Promise<boolean> =>
  asksFirst({ title, message, yes, no: t("driver.keep"), danger: true });

/** Says how it went; whether it was done. */
async function done(act: () => Promise<unknown>, word: string): Promise<boolean> {
  try {
    await act();
    showToast(word);
    return true;
  } catch (error) {
    const problem = asProblem(error);
    showToast({ message: problemText(problem), duration: 4000 });
    return problem.code === "not_found"; // Somebody was faster: it is over, and the page should look again.
  }
}

export async function cancelSharesOf(binding: Binding): Promise<boolean> {
  const told = { plate: binding.vehicle.plate, n: binding.shares_live };
  if (!(await asks(t("driver.cancel_ask", told), t("driver.cancel_ask_hint", told), t("driver.cancel_sharing"))))
    return false;
  return done(() => driver.cancelShares(binding.id), t("driver.cancelled"));
}

export async function cancelShare(share: Share): Promise<boolean> {
  const hint = share.viewer
    ? t("driver.cancel_one_hint_open", { who: share.viewer.display_name || t("driver.viewer_unknown") })
    : t("driver.cancel_one_hint_unopened");
  if (!(await asks(t("driver.cancel_one_ask"), hint, t("driver.cancel_sharing")))) return false;
  return done(() => driver.cancelShare(share.id), t("driver.cancelled"));
}

export async function unbind(binding: Binding): Promise<boolean> {
  const told = { plate: binding.vehicle.plate, n: binding.shares_live };
  const hint =
    binding.shares_live > 0
      ? `${t("driver.unbind_hint_shares", told)}\n${t("driver.unbind_hint")}`
      : t("driver.unbind_hint");
  if (!(await asks(t("driver.unbind_ask", told), hint, t("driver.unbind")))) return false;
  return done(() => driver.unbind(binding.id), t("driver.unbound"));
}

export async function withdraw(delegation: Delegation): Promise<boolean> {
  if (
    !(await asks(
      t("driver.withdraw_ask", { plate: delegation.plate }),
      t("driver.withdraw_hint"),
      t("driver.withdraw"),
    ))
  )
    return false;
  return done(() => driver.withdraw(delegation.id), t("driver.withdrawn"));
}
