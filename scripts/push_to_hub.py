"""`glove-bilstm push`: put a model folder on the Hugging Face Hub, in one commit."""

import argparse
import sys

from glove_bilstm.scripts.shared import command, make_parser, user_path


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of this verb."""
    parser = make_parser(
        "push",
        "Put a model folder on the Hugging Face Hub: the whole model in one commit, or nothing.",
        "Log in first with `hf auth login`, or set HF_TOKEN.",
    )
    parser.add_argument("--model", required=True, type=user_path, help="folder of the model")
    parser.add_argument("--repo_id", required=True, help="user/name, or a name among your own; made if it isn't there")
    parser.add_argument(
        "--private", action="store_const", const=True, default=None, help="a new repository is seen by you alone"
    )
    parser.add_argument("--revision", default=None, help="branch, made if it isn't there; default: main")
    parser.add_argument("--create_pr", action="store_true", default=False, help="open a pull request instead")
    parser.add_argument("--commit_message", default=None, help="default: Upload model")
    parser.add_argument(
        "--dry_run", action="store_true", default=False, help="list the files and their sizes, and send nothing"
    )
    return parser.parse_args(argv)


def run(argv: list[str]) -> None:
    """Check the folder, show what goes, push it."""
    options = parse(argv)

    from glove_bilstm.hub.plan import plan_push, warn_of
    from glove_bilstm.hub.push import Destination
    from glove_bilstm.scripts.tables import text_table

    destination = Destination(options.repo_id, options.private, options.revision, options.create_pr)
    plan = plan_push(options.model)
    sizes = {name: file.stat().st_size for name, file in plan.files.items()}
    rows = [[name, f"{size:,}"] for name, size in [*sizes.items(), ("all", sum(sizes.values()))]]
    print(text_table(["file", "bytes"], rows))
    if plan.left_out:
        print(f"\nLeft out: {', '.join(plan.left_out)}")
    if options.dry_run:
        warn_of(plan, options.model)
        print(f"\nNothing was sent to {options.repo_id}: this is a dry run.")
        return
    address = destination.push(options.model, options.commit_message)
    print(f"\nPushed: {address}" if address else f"\nNothing to push: {options.repo_id} holds just that.")


main = command(run)

if __name__ == "__main__":
    sys.exit(main())
