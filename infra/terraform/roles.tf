resource "aws_iam_role" "stage" {
  for_each = local.stages

  name               = "${var.name}-${each.key}"
  description        = "The stage ${each.key} of the pipeline"
  assume_role_policy = local.trust_policies[each.key]
}

resource "aws_iam_role_policy" "stage" {
  for_each = local.stages

  name   = "stage"
  role   = aws_iam_role.stage[each.key].name
  policy = local.stage_policies[each.key]
}

resource "aws_iam_role" "keda" {
  name               = "${var.name}-keda"
  description        = "KEDA, which scales the stages by what waits for them"
  assume_role_policy = local.trust_policies["keda"]
}

resource "aws_iam_role_policy" "keda" {
  name   = "count-messages"
  role   = aws_iam_role.keda.name
  policy = local.keda_policy
}

# Attach it to the people and jobs that import models and look at dead letters.
resource "aws_iam_policy" "operator" {
  name        = "${var.name}-operator"
  description = "Import models, verify originals, read dead letters and send them back"
  policy      = local.operator_policy
}
