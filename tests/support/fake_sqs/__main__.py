"""`python -m tests.support.fake_sqs --port 0 --seed 7 --duplicates 0.05`: one line with the URL, then it serves."""

import argparse
import asyncio
import signal

from .adversity import RATES, Adversity
from .broker import Broker
from .server import Server


async def serve(host: str, port: int, adversity: Adversity) -> None:
    server, stopped = Server(Broker(adversity)), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await server.start(host, port)
    print(server.url, flush=True)
    await stopped.wait()
    await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.fake_sqs", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--late-s", type=float, default=5.0, help="the most that delayed and resurrected messages wait")
    for name in RATES:
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=float, nargs="?", const=1.0, default=0.0, metavar="RATE"
        )
    given = vars(parser.parse_args())
    host, port = given.pop("host"), given.pop("port")
    try:
        adversity = Adversity(**given)
    except ValueError as error:
        parser.error(str(error))
    asyncio.run(serve(host, port, adversity))


main()
