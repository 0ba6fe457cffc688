from tgdi_hf.serving.metrics import Metrics


def test_values_are_those_that_were_counted():
    metrics = Metrics(lambda: 3)
    for status, seconds in ((200, 0.02), (200, 0.3), (429, 0.001)):
        metrics.count(status, seconds)
    metrics.batches.observe(5)
    lines = metrics.text().decode().splitlines()
    for line in (
        'tgdi_requests_total{status="200"} 2.0',
        'tgdi_requests_total{status="429"} 1.0',
        'tgdi_request_seconds_bucket{le="0.025"} 2.0',
        "tgdi_request_seconds_count 3.0",
        'tgdi_batch_posts_bucket{le="4.0"} 0.0',
        'tgdi_batch_posts_bucket{le="8.0"} 1.0',
        "tgdi_queue_posts 3.0",
    ):
        assert line in lines


def test_two_servers_in_one_process_count_apart():
    one, two = Metrics(lambda: 0), Metrics(lambda: 0)
    one.count(200, 1)
    assert 'status="200"' in one.text().decode() and 'status="200"' not in two.text().decode()
