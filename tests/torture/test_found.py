"""Tests that the shortest replays of past failures pass for good, whatever was at fault then."""

from __future__ import annotations

import pytest

from run import Service
from torture.run_seed import run_seed
from torture.steps import Step

FOUND = {
    "a key sent again after 24 hours is a new command": (
        6,
        "67:bind:59010:45271:43414,85:later:13280:61554:504,107:repeat:26456:11230:45197",
    ),
    "so it is for a delegation, at the very moment when it lapses": (
        10006,
        "68:delegate:31285:53266:12611,79:edge:3476:58968:50533,81:repeat:28771:16649:59836",
    ),
    "a command that got no answer and is sent again may be interrupted once more": (
        2004,
        "1:bind:1:1:1,2:bind:2:2:1,13:storm:48510:63409:39243,18:race:3253:34228:17312,20:rebind:41261:33515:8941,"
        "25:share:38095:23529:60977,26:bind:61224:47836:40361,29:crash:30141:50130:14063,30:open:53509:21699:37565,"
        "33:cancel_one:44587:49901:16572,36:look_at_truck:40764:34415:14975,37:share:12603:4229:61922,"
        "38:repeat:37859:12442:58868",
    ),
    "a burst moves the clock as far as a drive does": (
        30263,
        "63:drive:30497:358:50171,70:overload:53556:62612:7739,71:rest:57348:16922:17097,89:overload:4479:39244:41623",
    ),
    "a share that is finished late is dated by when it was asked for": (
        30639,
        "2:bind:2:2:1,45:race:4298:47893:11104,47:churn:25877:21742:11373,80:share:62734:18331:58165,"
        "82:race:53463:34333:22780,96:bind:813:63912:38833,97:owner_unbind:56806:23092:26930,"
        "98:storm:51068:19148:38765,108:race:10321:14380:55715,113:edge:33712:18218:5564",
    ),
    "what a key made more than 24 hours ago is not looked for among papers that changed since": (
        51890,
        "16:bind:36478:2619:55128,37:delegate:7169:26137:8604,42:delegate:17420:14928:60636,43:open:36477:54569:10665,"
        "47:bind_for:32720:13052:50248,48:bind:53936:34308:64621,51:papers:47960:51238:46809,"
        "59:bind_for:19260:10324:50634,61:edge:4883:36401:10616,62:churn:29288:20659:19608,"
        "64:repeat:57569:8816:27195,68:churn:36133:25729:55923,69:repeat:32394:39301:12790",
    ),
    "who is killed while leaving has connections that end, too": (
        53241,
        "23:bind:12590:15481:8579,26:share:19130:37016:58603,34:wait:53252:48296:6805,36:alarm:23547:33714:59792,"
        "37:wait:62096:12870:32743,39:open:13357:3197:18975,55:watch:24628:43933:17820,56:race:7806:56222:14537,"
        "58:crash:31740:31594:40305,59:open:15226:28898:26227,60:wait:39920:53600:62101,61:race:18403:58877:37897,"
        "63:restart:32305:486:25619",
    ),
    "a guest whose registration got no answer may have another account": (
        53722,
        "13:delegate:2705:35396:46476,16:storm:11803:25341:62685,19:register:39034:11341:49365,33:open:60263:14250:21647",
    ),
    "of three at once, one that got no answer may have been done between the others": (
        60398,
        "10:churn:26126:19084:10075,13:share:60933:6651:9462,25:storm:41017:353:20545,27:race:43859:9264:22390",
    ),
    "an opening that was decided in time may be written after the share's end": (
        70000,
        "0:bind:0:0:1,2:bind:2:2:1,6:race:34813:50727:2461,12:sign_out:2496:2215:9353,15:edge:45010:39556:28422,"
        "16:share:8804:19015:2287,17:open:26266:958:18641,18:stale:31559:17748:57016,19:sign_out:23951:40860:46640,"
        "20:storm:52244:10223:14034,21:cancel_all:35474:36320:22544,22:race:40036:38680:32193",
    ),
    "a share that got no answer may be one of the three": (
        70640,
        "0:bind:0:0:1,1:bind:1:1:1,2:bind:2:2:1,5:share:9467:9411:38249,8:share:23906:11535:11701,"
        "9:overload:1310:1660:57940,12:look_at_truck:50288:42418:35069,14:crash:20081:12176:1732,"
        "19:open:41074:59411:27274,22:delegate:50755:62271:65270,24:feed:47874:30659:49278,"
        "25:delegate:39012:1040:6674,26:bind:48007:3134:7434,28:sign_out:16901:48811:37811,"
        "29:overload:14846:52173:53593,30:rebind:26009:16114:42629,31:edge:64562:47366:44522,"
        "36:share:29066:23730:33257,37:race:28251:50137:22740,38:storm:35344:33812:17594,"
        "39:share:31862:42667:26352,41:share:33270:17973:36031,42:sign_out:33624:51477:14469,"
        "43:churn:1166:14235:57692,44:look_at_truck:2079:39564:17340,45:stranger:14148:9051:6669,"
        "46:storm:35599:36012:45404,47:race:47109:35145:59346",
    ),
    "a share of a week is not taken for one of a month": (
        80519,
        "10:bind:12331:45549:9849,28:bind:20607:39320:44642,35:storm:23378:15086:2276,36:bind:1872:29832:28511,"
        "39:share:14686:10565:23537,42:share:21463:11718:10738,43:bind:44238:4819:38219,50:share:10381:45938:42274,"
        "58:share:63384:8600:15249,67:repeat:58275:54723:17172",
    ),
    "two batches of one truck overtake each other": (
        10032,
        "12:feed:12830:47312:7996,34:overload:37764:57387:39286",
    ),
    "a binding that got no answer has the papers that it was asked for with": (
        204250,
        "0:bind:0:0:1,7:storm:61927:29078:44730,16:churn:55652:48793:25294,40:papers:17249:21035:61462,"
        "41:rest:1086:39326:63170,68:rebind:29394:41695:56646",
    ),
    "of two equal shares without an answer the other one was taken for done": (
        204596,
        "0:bind:0:0:1,1:bind:1:1:1,31:crash:7352:41657:52050,32:register:58811:45109:26361,34:share:2206:25656:45012,"
        "35:alarm:3222:52505:59953,36:share:20605:55858:26811,37:overload:24508:34025:58298,"
        "38:alarm:16970:3729:56670,40:storm:63703:35421:26852,44:storm:36388:41198:23497,46:bind:54025:30980:27436,"
        "47:backfill:34815:26642:55091,51:share:55225:24767:43659,53:share:54339:16328:19676,"
        "55:repeat:36278:52340:38690",
    ),
    "a binding that got no answer and was made anew has the papers of then": (
        209054,
        "0:bind:0:0:1,12:unbind:60006:2793:28394,22:storm:48880:33665:22698,40:look_at_truck:25564:4509:6283,"
        "41:crash:55653:43883:1471,42:rebind:52308:27235:27537,55:papers:55472:31626:21777",
    ),
    "a share taken for an earlier one's is a later one's, which asked for the same": (
        304248,
        "1:bind:1:1:1,2:bind:2:2:1,10:race:7858:32379:59072,13:crash:37322:45903:7013,"
        "18:look_at_truck:52313:13157:54370,20:drive:16506:18280:13609,21:sign_out:33442:6831:33833,"
        "23:drive:7615:52161:34661,24:share:41313:32662:42094,25:alarm:21688:47011:28130,28:edge:41025:15642:30556,"
        "31:rebind:29857:24401:21878,33:papers:1276:44107:18818,34:feed:26080:61209:13644,35:race:5839:29953:8672,"
        "39:share:37142:38405:1216,40:storm:28962:55740:8290,41:crash:57419:19663:42999,42:unbind:48759:10847:44935,"
        "43:drive:23161:11854:64038,44:race:8951:46530:64706,46:repeat:36939:34531:62608",
    ),
    "what is finished late ends those shares that have not ended by themselves meanwhile": (
        3397,
        "0:bind:0:0:1,16:race:62181:6831:4412,23:share:15765:4676:16255,27:storm:21576:21977:11742,"
        "31:cancel_all:53727:5083:29195,36:edge:19045:24739:6747",
    ),
    "an unbinding without an answer may cut a stream and be finished after the share's own end": (
        7619,
        "1:bind:1:1:1,5:share:28675:17309:56730,15:open:14966:55635:48400,20:watch:19825:43117:25860,"
        "21:look_at_truck:53979:10844:6674,34:storm:28674:38603:44069,37:owner_unbind:13101:44956:64238,"
        "42:edge:58219:60564:28141",
    ),
}


@pytest.mark.parametrize("seed,steps", FOUND.values(), ids=FOUND)
def test_it_is_found_no_more(seed: int, steps: str) -> None:
    assert run_seed(Service, seed, [Step.parse(text) for text in steps.split(",")]).broken == ""
