"""Name the relation between two entities of a post, with or without its image.

python examples/predict.py runs/mnre --text "JFK and Obama at Harvard" --head JFK --tail Harvard --image post.jpg
"""

import argparse

from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor, predict

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint")
parser.add_argument("--text", required=True)
parser.add_argument("--head", required=True, help="a name that occurs once in the text, or a span such as '[0, 3]'")
parser.add_argument("--tail", required=True)
parser.add_argument("--image", help="path of the post's image")
parser.add_argument("--caption", help="caption of the image, from an image captioner")
parser.add_argument("--top-k", type=int, default=3)


def main() -> None:
    args = parser.parse_args()

    # 1. The model and its processor, from one folder or Hub name.
    model = TGDIForRelationExtraction.from_pretrained(args.checkpoint)
    processor = TGDIProcessor.from_pretrained(args.checkpoint)

    # 2. A post: text, the two entities, and whatever else there is.
    post = {name: getattr(args, name) for name in ("text", "head", "tail", "image", "caption")}

    # 3. Any iterable of posts will do; predictions come back one by one, in order.
    for prediction in predict(model, processor, [post], top_k=args.top_k):
        for candidate in prediction["relations"]:
            print(f"{candidate['score']:.3f}  {candidate['relation']}")
        if prediction["gate"] is not None:
            print(f"matching gate {prediction['gate']:.3f}")


if __name__ == "__main__":
    main()
